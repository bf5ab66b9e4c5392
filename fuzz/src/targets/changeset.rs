//! Bytes that claim to be a changeset, in Rust alone: they are REJECTED, or they are the one form
//! of what they say. Memory grows with their length and nothing else.

use super::Target;
use crate::model::{self, Model};
use crate::rng::Rng;
use crate::world::World;
use crate::{frame, meter, mutate};
use crsql::words::changeset::{decode, info};

/// The target.
pub struct Changeset;

/// What may be held for each byte of input, and beside that. A value of a list of many small
/// things takes that much more in memory than on the wire.
const FACTOR: usize = 160;
const BESIDE: usize = 64 << 10;

/// A changeset that something was done to.
pub fn hostile(rng: &mut Rng, world: &World) -> Vec<u8> {
    let at = rng.below(world.changesets.len());
    hurt(rng, world, &world.changesets[at], |_| Some(world.models[at].clone()))
}

/// The same bytes, with something done to them.
pub fn damaged(rng: &mut Rng, world: &World, base: &[u8]) -> Vec<u8> {
    if base.starts_with(b"crsql") {
        return hurt(rng, world, base, |base| model::read(base).ok());
    }
    let mut bytes = base.to_vec();
    mutate::bytes(rng, &mut bytes, &[]);
    bytes
}

/// Something is done to a changeset: in what it says, or in its sections.
fn hurt(
    rng: &mut Rng,
    world: &World,
    base: &[u8],
    model: impl FnOnce(&[u8]) -> Option<Model>,
) -> Vec<u8> {
    let other = rng.below(world.changesets.len());
    if rng.one_in(2)
        && let Some(mut model) = model(base)
    {
        model::change(rng, &mut model, &world.models[other]);
        if let Ok(bytes) = model::write(&model) {
            return if rng.one_in(6) { frame::damage(rng, &bytes, base) } else { bytes };
        }
    }
    frame::damage(rng, base, &world.changesets[other])
}

impl Target for Changeset {
    fn make(&self, rng: &mut Rng, world: &World) -> Vec<u8> {
        if rng.one_in(60) {
            let n = rng.below(80);
            let mut bytes = b"crsql\x01\x01\x00\x00\x00".to_vec();
            bytes.extend(rng.bytes(n));
            mutate::bytes(rng, &mut bytes, &[]);
            return frame::hashed(bytes);
        }
        hostile(rng, world)
    }

    fn change(&self, rng: &mut Rng, world: &World, input: &[u8]) -> Vec<u8> {
        damaged(rng, world, input)
    }

    fn is_bytes(&self) -> bool {
        true
    }

    fn run(&self, _: &World, input: &[u8]) -> Result<u64, String> {
        let (decoded, most) = meter::most(|| decode(input).and_then(|c| c.check()).is_ok());
        if most > FACTOR * input.len() + BESIDE {
            return Err(format!("{most} bytes are held for {} bytes of input", input.len()));
        }
        let (told, most) = meter::most(|| info(input).is_ok());
        if most > 4 * FACTOR * input.len() + BESIDE {
            return Err(format!("info holds {most} bytes for {} of input", input.len()));
        }
        if decoded != told {
            return Err(format!("check says {decoded}, info says {told}"));
        }
        if !decoded {
            return Ok(1);
        }
        let model = model::read(input).map_err(|e| format!("read after check: {}", e.text))?;
        let again = model::write(&model).map_err(|e| format!("cannot be written: {}", e.text))?;
        if again != input && ours(input) {
            return Err("the same changeset has two forms".into());
        }
        match model::read(&again) {
            Ok(back) if back == model => Ok(1),
            Ok(_) => Err("what is written again says something else".into()),
            Err(e) => Err(format!("what is written again is refused: {}", e.text)),
        }
    }
}

/// Whether there is nothing in it that only a later format knows.
fn ours(bytes: &[u8]) -> bool {
    bytes.get(..10) == Some(b"crsql\x01\x01\x00\x00\x00") && !frame::has_unknown(bytes)
}
