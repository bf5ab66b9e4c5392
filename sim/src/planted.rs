//! The bugs that are planted in crsql to see whether the simulator finds them, each within so many
//! seeds. They are in a build with `--cfg crsql_plant` only, as `make planted` makes it.

/// The name in the source, and what goes wrong.
pub const ALL: [(&str, &str); 26] = [
    ("earlier-wins", "of two writes of a cell the earlier one wins"),
    ("no-tie-break", "writes of one stamp are one write, whoever made them"),
    ("stamp-given-twice", "two transactions of one millisecond have one stamp"),
    ("sign-of-zero", "0.0 and -0.0 are the same value"),
    ("class-of-number", "1 and 1.0 are the same value"),
    ("old-key-forgotten", "a row whose key changes does not die under the old one"),
    ("mark-kept-by-rollback", "ROLLBACK TO leaves what it undid marked as flushed"),
    ("rolled-back-rows-kept", "ROLLBACK TO leaves captured rows in memory"),
    ("clock-ignores-merges", "what was merged does not move the clock"),
    ("old-life-again", "a row that is inserted again has the causal length of its last life"),
    ("replace-not-noted", "REPLACE over a living row is not a write"),
    ("key-as-written", "1.0 in an untyped key stays 1.0 where it was written"),
    ("dead-rows-return", "a change of an earlier life is merged"),
    ("row-outlives-its-clock", "a merged delete leaves the row"),
    ("place-given-anew", "merged cells all get place 0"),
    ("first-part-only", "what a transaction wrote after its first flush is not read"),
    ("last-part-forgotten", "a transaction in parts is whole one place too early"),
    ("seen-though-cut", "what was left out for its clock counts as seen"),
    ("held-not-served", "held changes are not passed on"),
    ("held-for-ever", "held changes are not tried again when their time comes"),
    ("merges-echo", "what a merge writes is captured as the file's own"),
    ("open-version-told", "the version of the open transaction is told as committed"),
    ("swept-though-needed", "the sweep takes entries of the log that still say something"),
    ("sent-before-durable", "own versions are sent before they are on the disk"),
    ("set-keeps-its-base", "who takes an element away leaves it in the base"),
    ("rollback-remembered", "what was kept in memory outlives a rollback"),
];

/// Chooses a planted bug; false where this build has none of that name.
pub fn choose(name: &str) -> bool {
    #[cfg(crsql_plant)]
    crsql::words::planted::choose(name);
    cfg!(crsql_plant) && ALL.iter().any(|(known, _)| *known == name)
}
