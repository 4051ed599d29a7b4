//! JSON of strangers, read so that it takes little more memory than its text: a value of two bytes is not kept as one of thirty, a
//! hundred million times.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

/// The most parts of one value that are kept; the others are read over.
const MAX_PARTS: usize = 512;

/// A value, as far as it has no more than so many parts.
pub(super) struct Small(pub(super) Value);

impl<'de> Deserialize<'de> for Small {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut left = MAX_PARTS;
        Parts(&mut left).deserialize(deserializer).map(Self)
    }
}

/// How many parts are left to be kept.
struct Parts<'a>(&'a mut usize);

impl<'de> DeserializeSeed<'de> for Parts<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Parts<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut kept = Vec::new();
        while *self.0 > 0 {
            *self.0 -= 1;
            let Some(value) = from.next_element_seed(Parts(self.0))? else { return Ok(kept.into()) };
            kept.push(value);
        }
        while from.next_element::<IgnoredAny>()?.is_some() {}
        Ok(kept.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut kept = Map::new();
        while *self.0 > 0 {
            *self.0 -= 1;
            let Some(key) = from.next_key::<String>()? else { return Ok(kept.into()) };
            kept.insert(key, from.next_value_seed(Parts(self.0))?);
        }
        while from.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(kept.into())
    }
}

/// What a list's elements are kept as.
pub(super) trait Element: Sized {
    /// The most that are kept.
    const MOST: usize;

    /// From an element as it stands there.
    fn read(value: &Value) -> Self;
}

/// A list, each of whose elements is read as soon as it is there.
pub(super) struct List<T> {
    pub(super) kept: Vec<T>,
    /// There were more than are kept.
    pub(super) is_cut: bool,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { kept: Vec::new(), is_cut: false }
    }
}

impl<'de, T: Element> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading<T>(std::marker::PhantomData<T>);
        impl<'de, T: Element> Visitor<'de> for Reading<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<List<T>, A::Error> {
                let mut list = List::default();
                while list.kept.len() < T::MOST {
                    let Some(Small(value)) = from.next_element()? else { return Ok(list) };
                    list.kept.push(T::read(&value));
                }
                while from.next_element::<IgnoredAny>()?.is_some() {
                    list.is_cut = true;
                }
                Ok(list)
            }
        }
        deserializer.deserialize_seq(Reading(std::marker::PhantomData))
    }
}

/// A map, each of whose entries is read as soon as it is there.
pub(super) struct Entries<T>(pub(super) Vec<(String, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Element> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading<T>(std::marker::PhantomData<T>);
        impl<'de, T: Element> Visitor<'de> for Reading<T> {
            type Value = Entries<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Entries<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(key) = from.next_key()? {
                    if entries.len() >= T::MOST {
                        return Err(A::Error::custom(format!("more than {} entries", T::MOST)));
                    }
                    let Small(value) = from.next_value()?;
                    entries.push((key, T::read(&value)));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Reading(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parts(value: &Value) -> usize {
        match value {
            Value::Array(values) => 1 + values.iter().map(parts).sum::<usize>(),
            Value::Object(values) => 1 + values.values().map(parts).sum::<usize>(),
            _ => 1,
        }
    }

    #[test]
    fn a_value_is_kept_as_it_is_or_in_part() {
        let value = json!({ "a": [1, -2, 0.5, "x", null, true], "b": { "/": "c" } });
        assert_eq!(serde_json::from_str::<Small>(&value.to_string()).expect("JSON").0, value);
        for bomb in
            [format!("[{}[]]", "[],".repeat(100_000)), format!("{{{}\"z\":[[],[]]}}", "\"a\":{},".repeat(100_000))]
        {
            let Small(kept) = serde_json::from_str(&bomb).expect("JSON");
            assert!(parts(&kept) <= MAX_PARTS + 1);
        }
        assert!(serde_json::from_str::<Small>("[[],").is_err());
    }

    struct Number(u64);

    impl Element for Number {
        const MOST: usize = 3;

        fn read(value: &Value) -> Self {
            Self(value.as_u64().unwrap_or(99))
        }
    }

    #[test]
    fn of_too_long_a_list_the_first_are_kept_and_too_long_a_map_is_none() {
        let list = |text: &str| {
            let List { kept, is_cut } = serde_json::from_str::<List<Number>>(text).expect("a list");
            (kept.into_iter().map(|Number(number)| number).collect::<Vec<_>>(), is_cut)
        };
        assert_eq!(list("[1, [], 3]"), (vec![1, 99, 3], false));
        assert_eq!(list("[1, 2, 3, 4, 5]"), (vec![1, 2, 3], true));
        let map = serde_json::from_str::<Entries<Number>>;
        assert_eq!(map(r#"{"a":1,"b":2,"c":3}"#).ok().map(|entries| entries.0.len()), Some(3));
        assert!(map(r#"{"a":1,"b":2,"c":3,"d":4}"#).is_err());
    }
}
