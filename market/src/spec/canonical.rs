//! The canonical encoding, by the [table of fields](super::fields).

use std::collections::BTreeMap;

use ipld_core::ipld::Ipld;
use serde_json::Value;

use super::{
    Link,
    fields::{Field, Kind, Object, Presence},
};

/// The canonical form of a document that was read: CIDs as links, and without the fields that hold a default which this form
/// leaves out.
pub(super) fn canonical(document: &Value, root: &Object) -> Ipld {
    object(document, root.fields, (0, 1))
}

fn object(value: &Value, fields: &[Field], place: (usize, usize)) -> Ipld {
    let written = fields.iter().filter_map(|field| {
        let value = value.get(field.name)?;
        match &field.presence {
            Presence::OmittedWhenDefault(default) if *value == default.value(place) => None,
            _ => Some((field.name.to_owned(), encode(value, &field.kind))),
        }
    });
    Ipld::Map(written.collect())
}

fn encode(value: &Value, kind: &Kind) -> Ipld {
    match kind {
        Kind::Object(inner) => object(value, inner.fields, (0, 1)),
        Kind::OneOf { variants, .. } => {
            let name = value.get("type").and_then(Value::as_str).unwrap_or_default();
            let fields = variants.iter().find(|variant| variant.name == name).map_or(&[][..], |variant| variant.fields);
            let Ipld::Map(mut map) = object(value, fields, (0, 1)) else { return Ipld::Null };
            map.insert("type".to_owned(), Ipld::String(name.to_owned()));
            Ipld::Map(map)
        }
        Kind::List { item, .. } => {
            let items = value.as_array().map_or(&[][..], Vec::as_slice);
            let encode = |(number, value)| object(value, item.fields, (number, items.len()));
            Ipld::List(items.iter().enumerate().map(encode).collect())
        }
        Kind::Link => value.as_str().and_then(|text| text.parse().ok()).map_or(Ipld::Null, |Link(cid)| Ipld::Link(cid)),
        // A link, or a name.
        Kind::Image => match value.as_str().and_then(|text| text.parse().ok()) {
            Some(Link(cid)) => Ipld::Link(cid),
            None => plain(value),
        },
        Kind::Version
        | Kind::Texts { .. }
        | Kind::TextsByName { .. }
        | Kind::Name { .. }
        | Kind::Path
        | Kind::Url
        | Kind::Label
        | Kind::Count { .. } => plain(value),
    }
}

/// What has the same form in JSON and IPLD.
fn plain(value: &Value) -> Ipld {
    match value {
        Value::Null => Ipld::Null,
        Value::Bool(value) => Ipld::Bool(*value),
        Value::Number(number) => number.as_u64().map_or(Ipld::Null, |number| Ipld::Integer(number.into())),
        Value::String(text) => Ipld::String(text.clone()),
        Value::Array(items) => Ipld::List(items.iter().map(plain).collect()),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), plain(value)));
            Ipld::Map(fields.collect::<BTreeMap<_, _>>())
        }
    }
}
