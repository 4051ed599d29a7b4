//! Specs that were parsed already.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use alloy_primitives::B256;

use super::Refusal;
use crate::{
    model::{SpecCodec, Terms},
    spec::{self, ValidatedSpec},
};

/// How many specs are kept; the one that was parsed first goes first.
const MOST: usize = 4_096;

type Parsed = Result<Arc<ValidatedSpec>, Refusal>;

#[derive(Debug, Default)]
struct Known {
    specs: BTreeMap<(B256, u16), Parsed>,
    order: VecDeque<(B256, u16)>,
}

/// The specs that the agents of a process have parsed, by their digest: each is parsed once, however many agents look at it.
/// Clones are the same cache.
#[derive(Clone, Debug, Default)]
pub struct Specs(Arc<Mutex<Known>>);

impl Specs {
    /// The spec of a job with these terms. `bytes` hash to the digest in them: whoever brings them has seen to that.
    pub(super) fn parse(&self, terms: &Terms, bytes: &[u8]) -> Parsed {
        let key = (terms.spec, terms.spec_codec);
        if let Some(parsed) = self.known().specs.get(&key) {
            return parsed.clone();
        }
        let codec = SpecCodec::from_code(terms.spec_codec).ok_or(Refusal::Codec(terms.spec_codec))?;
        let parsed = spec::parse(codec, bytes).map(Arc::new).map_err(|problems| Refusal::Spec(problems.to_string()));
        let mut known = self.known();
        if known.specs.insert(key, parsed.clone()).is_none() {
            known.order.push_back(key);
        }
        if known.order.len() > MOST
            && let Some(oldest) = known.order.pop_front()
        {
            known.specs.remove(&oldest);
        }
        parsed
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
