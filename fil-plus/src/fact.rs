//! What a chain says about claims and allocations, after it was checked.
//!
//! A fact is what one origin (a chain node) said about one claim at one epoch. Of several facts of an origin about one claim the
//! newest holds: [`Fact::newer_than`] is a total order, so the table does not depend on the order in which facts come.

use lota_content::piece::PieceRoot;

/// Seconds of an epoch.
pub const EPOCH_SECONDS: u64 = 30;
/// The smallest and the largest piece, as log2 of bytes.
const SIZES: (u32, u32) = (7, 50);
/// Terms longer than this are absurd: 20 years, four times what the protocol allows.
const MAX_TERM: u64 = 20 * 365 * 2_880;
/// Numbers of actors, claims and sectors are below this; SQLite's numbers are signed.
const MAX_NUMBER: u64 = 1 << 62;

/// Of what kind a fact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A provider proved that it stores a verified client's piece.
    Claim,
    /// A client set DataCap aside for a piece that no provider has claimed.
    Allocation,
}

impl Kind {
    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::Claim => 0,
            Self::Allocation => 1,
        }
    }
}

/// A claim or an allocation, as an origin has it at an epoch. Everything that is compared stands in the order in which it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    pub kind: Kind,
    /// The network's number of the claim; it was that of the allocation.
    pub id: u64,
    /// The epoch of the state, or of the event, that this is from.
    pub as_of: u64,
    /// It was taken off the chain.
    pub removed: bool,
    /// Epochs.
    pub term_max: u64,
    /// Epochs.
    pub term_min: u64,
    /// The epoch in which a claim's term began; that in which an allocation expires.
    pub start: u64,
    pub piece: PieceRoot,
    /// Id of the provider's actor.
    pub provider: u64,
    /// Id of the client's actor.
    pub client: u64,
    /// log2 of the piece's padded bytes.
    pub size_log2: u8,
    /// The sector of a claim.
    pub sector: u64,
}

/// The same before anybody looked at it.
#[derive(Clone, Debug, Default)]
pub struct Said {
    pub id: Option<u64>,
    pub piece: Option<PieceRoot>,
    pub provider: Option<u64>,
    pub client: Option<u64>,
    /// Padded bytes.
    pub size: Option<u64>,
    pub term_min: Option<u64>,
    pub term_max: Option<u64>,
    pub start: Option<u64>,
    pub sector: Option<u64>,
}

/// Why something that a chain node said is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lie {
    #[error("claim {id} has no readable {field}")]
    Missing { id: u64, field: &'static str },
    #[error("a claim or an allocation has no readable id")]
    NoId,
    #[error("claim {id} has {value} as its {field}, which no chain has")]
    Number { id: u64, field: &'static str, value: u64 },
    #[error("claim {id} is of {size} bytes; a piece has a power of two from 128 on")]
    Size { id: u64, size: u64 },
    #[error("claim {id} has a term of {min} to {max} epochs, which is absurd")]
    Term { id: u64, min: u64, max: u64 },
    #[error("claim {id} begins at epoch {start}, but the state is of epoch {as_of}")]
    Future { id: u64, start: u64, as_of: u64 },
    #[error("claim {id} was asked of {asked}, and is of {found}")]
    Party { id: u64, asked: u64, found: u64 },
}

impl Fact {
    /// Checks what was said in a state, or in an event, of an epoch.
    ///
    /// # Errors
    /// See [`Lie`].
    pub fn check(kind: Kind, said: &Said, as_of: u64, removed: bool) -> Result<Self, Lie> {
        let id = said.id.ok_or(Lie::NoId)?;
        let number = |field, value: Option<u64>| {
            let value = value.ok_or(Lie::Missing { id, field })?;
            if value < MAX_NUMBER { Ok(value) } else { Err(Lie::Number { id, field, value }) }
        };
        let (term_min, term_max) = (number("minimum term", said.term_min)?, number("maximum term", said.term_max)?);
        let size = said.size.ok_or(Lie::Missing { id, field: "size" })?;
        let fact = Self {
            kind,
            id: number("id", said.id)?,
            as_of: number("epoch", Some(as_of))?,
            removed,
            term_max,
            term_min,
            start: number("beginning", said.start)?,
            piece: said.piece.ok_or(Lie::Missing { id, field: "piece" })?,
            provider: number("provider", said.provider)?,
            client: number("client", said.client)?,
            size_log2: u8::try_from(size.trailing_zeros()).unwrap_or(u8::MAX),
            sector: number("sector", if kind == Kind::Claim { said.sector } else { Some(0) })?,
        };
        if !size.is_power_of_two() || !(SIZES.0..=SIZES.1).contains(&size.trailing_zeros()) {
            return Err(Lie::Size { id, size });
        }
        if term_min > term_max || term_max > MAX_TERM {
            return Err(Lie::Term { id, min: term_min, max: term_max });
        }
        if kind == Kind::Claim && fact.start > as_of {
            return Err(Lie::Future { id, start: fact.start, as_of });
        }
        Ok(fact)
    }

    /// Whose state it was asked of: a claim is filed under its provider, an allocation under its client.
    #[must_use]
    pub const fn party(&self) -> u64 {
        match self.kind {
            Kind::Claim => self.provider,
            Kind::Allocation => self.client,
        }
    }

    /// Whether two facts are about the same claim with the same contents, whatever its term and state by now.
    #[must_use]
    pub fn agrees(&self, other: &Self) -> bool {
        let fixed = |fact: &Self| {
            (fact.kind, fact.id, fact.piece, fact.provider, fact.client, fact.size_log2, fact.start, fact.term_min)
        };
        fixed(self) == fixed(other)
    }

    /// Which of two facts of one origin about one claim holds. A claim that was removed does not come back, and a term is
    /// only made longer; the rest makes the order total.
    #[must_use]
    pub fn newer_than(&self, other: &Self) -> bool {
        let order = |fact: &Self| {
            let Self { as_of, removed, term_max, term_min, start, piece, provider, client, size_log2, sector, .. } =
                fact;
            (*as_of, *removed, *term_max, *term_min, *start, *piece, *provider, *client, *size_log2, *sector)
        };
        order(self) > order(other)
    }

    /// The first epoch in which its term is over; an allocation's, in which it expires.
    #[must_use]
    pub const fn over_at(&self) -> u64 {
        match self.kind {
            Kind::Claim => self.start.saturating_add(self.term_max),
            Kind::Allocation => self.start,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Said {
        Said {
            id: Some(7),
            piece: PieceRoot::new([1; 32]),
            provider: Some(1_000),
            client: Some(2_000),
            size: Some(1 << 35),
            term_min: Some(1_000),
            term_max: Some(2_000),
            start: Some(50),
            sector: Some(3),
        }
    }

    #[test]
    fn what_no_chain_says_is_refused() {
        let check = |said: Said| Fact::check(Kind::Claim, &said, 100, false);
        let fact = check(said()).expect("good");
        assert_eq!((fact.size_log2, fact.over_at(), fact.party()), (35, 2_050, 1_000));
        let size = |size| check(Said { size: Some(size), ..said() });
        for bad in [0, 1, 64, 127, 129, (1 << 35) + 1, u64::MAX, 1 << 51] {
            assert_eq!(size(bad), Err(Lie::Size { id: 7, size: bad }));
        }
        assert!(matches!(check(Said { term_min: Some(2_001), ..said() }), Err(Lie::Term { .. })));
        assert!(matches!(check(Said { term_max: Some(MAX_TERM + 1), ..said() }), Err(Lie::Term { .. })));
        assert!(matches!(check(Said { start: Some(101), ..said() }), Err(Lie::Future { .. })));
        assert!(matches!(check(Said { provider: Some(u64::MAX), ..said() }), Err(Lie::Number { .. })));
        assert!(matches!(check(Said { piece: None, ..said() }), Err(Lie::Missing { field: "piece", .. })));
        assert_eq!(check(Said { id: None, ..said() }), Err(Lie::NoId));
    }

    #[test]
    fn an_allocation_has_no_sector_and_may_expire_in_the_future() {
        let said = Said { start: Some(1_000_000), sector: None, ..said() };
        let fact = Fact::check(Kind::Allocation, &said, 100, false).expect("good");
        assert_eq!((fact.over_at(), fact.party()), (1_000_000, 2_000));
    }
}
