//! Bytes that claim to be a changeset, in Rust alone: they are REJECTED, or they are the one form
//! of what they say. Memory grows with their length and nothing else.

use super::Target;
use crate::rng::Rng;
use crate::world::World;
use crate::{frame, meter, model, mutate};
use crsql::words::changeset::{decode, info};

/// The target.
pub struct Changeset;

/// What may be held for each byte of input, and beside that. A value of a list of many small
/// things takes that much more in memory than on the wire.
const FACTOR: usize = 160;
const BESIDE: usize = 64 << 10;

/// A changeset that something was done to: in what it says, or in its bytes.
pub fn hostile(rng: &mut Rng, world: &World) -> Vec<u8> {
    let (base, other) = (rng.pick(&world.changesets), rng.pick(&world.changesets));
    if rng.one_in(2) {
        let models = (model::read(base), model::read(other));
        if let (Ok(mut model), Ok(other)) = models {
            model::change(rng, &mut model, &other);
            if let Ok(bytes) = model::write(&model) {
                if rng.one_in(6) {
                    return frame::damage(rng, &bytes, base);
                }
                return bytes;
            }
        }
    }
    frame::damage(rng, base, other)
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

    fn run(&self, _: &World, input: &[u8]) -> Result<(), String> {
        let (mut decoded, mut told) = (false, false);
        let most = meter::most(|| {
            decoded = decode(input).and_then(|c| c.check()).is_ok();
        });
        if most > FACTOR * input.len() + BESIDE {
            return Err(format!("{most} bytes are held for {} bytes of input", input.len()));
        }
        let most = meter::most(|| told = info(input).is_ok());
        if most > 4 * FACTOR * input.len() + BESIDE {
            return Err(format!("info holds {most} bytes for {} of input", input.len()));
        }
        if decoded != told {
            return Err(format!("check says {decoded}, info says {told}"));
        }
        if !decoded {
            return Ok(());
        }
        let model = model::read(input).map_err(|e| format!("read after check: {}", e.text))?;
        let again = model::write(&model).map_err(|e| format!("cannot be written: {}", e.text))?;
        if again != input && ours(input) {
            return Err("the same changeset has two forms".into());
        }
        match model::read(&again) {
            Ok(back) if back == model => Ok(()),
            Ok(_) => Err("what is written again says something else".into()),
            Err(e) => Err(format!("what is written again is refused: {}", e.text)),
        }
    }
}

/// Whether there is nothing in it that only a later format knows.
fn ours(bytes: &[u8]) -> bool {
    bytes.get(..10) == Some(b"crsql\x01\x01\x00\x00\x00") && !frame::has_unknown(bytes)
}
