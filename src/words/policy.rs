//! What becomes of whole rows of a table: whether a delete or a concurrent update wins, or no row
//! goes at all.

/// The policy of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// A delete beats an update that did not know of it.
    #[default]
    DeleteWins,
    /// A row lives on where the delete did not know of an update.
    UpdateWins,
    /// No row goes.
    GrowOnly,
}

const ALL: [(Policy, &str); 3] = [
    (Policy::DeleteWins, "delete-wins"),
    (Policy::UpdateWins, "update-wins"),
    (Policy::GrowOnly, "grow-only"),
];

impl Policy {
    /// The policy that has this name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|(_, n)| *n == name).map(|(policy, _)| *policy)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        ALL.iter().find(|(policy, _)| *policy == self).map_or("", |(_, name)| name)
    }
}
