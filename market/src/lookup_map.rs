//! Maps that are large, and in which single entries are looked up.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    hash::{BuildHasher, Hash, Hasher},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A hash map that shows its entries in the order of their keys only, and is serialised as [`map_as_pairs`](crate::map_as_pairs) does: where an
/// entry lies in memory changes no result, and neither does the hash function.
///
/// An entry of a large one is found with one or two misses of the cache, where an ordered map has one at each of its levels.
#[derive(Clone)]
pub(crate) struct LookupMap<K, V, S>(HashMap<K, V, S>);

impl<K, V, S: Default> Default for LookupMap<K, V, S> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<K: Ord + Hash, V, S: BuildHasher> LookupMap<K, V, S> {
    #[inline]
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    #[inline]
    pub(crate) fn entry(&mut self, key: K) -> Entry<'_, K, V> {
        self.0.entry(key)
    }

    #[inline]
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.0.insert(key, value)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.0.remove(key)
    }

    /// The entries in the order of their keys. Takes time and memory for all of them.
    pub(crate) fn sorted(&self) -> Vec<(&K, &V)> {
        let mut entries: Vec<(&K, &V)> = self.0.iter().collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        entries
    }
}

impl<K: Ord + Hash, V: PartialEq, S: BuildHasher> PartialEq for LookupMap<K, V, S> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<K: Ord + Hash, V: Eq, S: BuildHasher> Eq for LookupMap<K, V, S> {}

/// As an ordered map is hashed.
impl<K: Ord + Hash, V: Hash, S: BuildHasher> Hash for LookupMap<K, V, S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sorted().hash(state);
    }
}

impl<K: Ord + Hash + fmt::Debug, V: fmt::Debug, S: BuildHasher> fmt::Debug for LookupMap<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.sorted()).finish()
    }
}

impl<K: Ord + Hash + Serialize, V: Serialize, S: BuildHasher> Serialize for LookupMap<K, V, S> {
    fn serialize<T: Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
        serializer.collect_seq(self.sorted())
    }
}

impl<'de, K, V, S> Deserialize<'de> for LookupMap<K, V, S>
where
    K: Ord + Hash + Deserialize<'de>,
    V: Deserialize<'de>,
    S: BuildHasher + Default,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect()))
    }
}

/// For keys that are digests, which nobody can choose: their first bytes will do. Whoever wants n keys to be searched for from the same of m
/// places computes n * m digests.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    /// The length, which is always the same.
    fn write_usize(&mut self, _: usize) {}
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        hash::{BuildHasherDefault, DefaultHasher},
    };

    use proptest::prelude::*;

    use super::*;

    type Map = LookupMap<[u8; 9], u8, BuildHasherDefault<DigestHasher>>;

    fn hash(value: &impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        hasher.finish()
    }

    #[derive(Serialize, Deserialize)]
    struct Ordered(#[serde(with = "crate::map_as_pairs")] BTreeMap<[u8; 9], u8>);

    proptest! {
        /// Whatever was put in and taken out before: equal maps are equal values, and nothing tells them from ordered ones.
        #[test]
        fn nothing_tells_it_from_an_ordered_map(
            steps in prop::collection::vec((0u8..8, 0u8..8, any::<Option<u8>>()), 0..64),
        ) {
            let (mut map, mut ordered) = (Map::default(), BTreeMap::new());
            for (first, last, value) in steps {
                // Some keys begin alike.
                let key = [first, 0, 0, 0, 0, 0, 0, 0, last];
                let before = match value {
                    Some(value) => (map.insert(key, value), ordered.insert(key, value)),
                    None => (map.remove(&key), ordered.remove(&key)),
                };
                prop_assert_eq!(before.0, before.1);
                prop_assert_eq!(map.get(&key), ordered.get(&key));
                prop_assert_eq!(map.contains_key(&key), value.is_some());
            }
            let backwards = LookupMap(ordered.iter().rev().map(|(key, value)| (*key, *value)).collect());
            prop_assert_eq!(&map, &backwards);
            prop_assert_eq!(map.sorted(), ordered.iter().collect::<Vec<_>>());
            prop_assert_eq!((hash(&map), hash(&backwards)), (hash(&ordered), hash(&ordered)));
            prop_assert_eq!(format!("{map:?}"), format!("{ordered:?}"));
            let bytes = serde_ipld_dagcbor::to_vec(&map).expect("it can be written");
            prop_assert_eq!(&bytes, &serde_ipld_dagcbor::to_vec(&Ordered(ordered)).expect("it can be written"));
            prop_assert_eq!(serde_ipld_dagcbor::from_slice::<Map>(&bytes).expect("it can be read"), map);
        }
    }
}
