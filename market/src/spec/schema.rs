//! The spec's JSON schema, for editors and generated clients; from the [table of fields](super::fields).

use serde_json::{Map, Value, json};

use super::{
    MAX_LABEL, MAX_NAME, MAX_PATH, MAX_URL, VERSION,
    fields::{Default, Field, Kind, Object, Presence, SPEC},
    image::MAX_IMAGE,
};

/// A URL with a host, and without credentials and fragment.
const URL: &str = r#"^https?://[!"$-.0-9;-=A-\[\]-~][!"$-.0->A-\[\]-~]*([/?][!"$-\[\]-~]*)?$"#;

/// The JSON schema (draft 2020-12) of a spec in JSON. It accepts everything that [`parse_json`](super::parse_json) accepts;
/// what it cannot say (paths within each other, sizes in bytes of UTF-8, codecs of CIDs) the parser checks beyond it.
#[must_use]
pub fn json_schema() -> Value {
    schema_of(&SPEC)
}

pub(super) fn schema_of(root: &Object) -> Value {
    let mut definitions = Definitions(shared());
    let mut schema = definitions.object(root, None);
    schema.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".into(), json!(root.about));
    schema.remove("description");
    schema.insert("$defs".into(), definitions.0.into());
    schema.into()
}

/// What several fields are.
fn shared() -> Map<String, Value> {
    let shared = json!({
        "text": { "type": "string", "pattern": "^[^\\u0000]*$" },
        "name": { "type": "string", "pattern": "^[^\\u0000]+$", "maxLength": MAX_NAME },
        "path": {
            "type": "string", "maxLength": MAX_PATH,
            "pattern": "^(/(?!\\.{1,2}(/|$))[^/\\u0000]+)+$"
        },
        "cid": {
            "description": "A CID of UnixFS or raw content, hashed with sha2-256.",
            "type": "string", "pattern": "^([A-Za-z].{45,}|Qm[1-9A-HJ-NP-Za-km-z]{44})$"
        },
        "image": {
            "description": "An image by its digest.", "type": "string", "maxLength": MAX_IMAGE,
            "pattern": "^[a-z0-9][a-z0-9._-]*(:[0-9]{1,5}/[a-z0-9][a-z0-9._-]*)?(/[a-z0-9][a-z0-9._-]*)*@sha256:[0-9a-f]{64}$"
        }
    });
    match shared {
        Value::Object(shared) => shared,
        _ => Map::new(),
    }
}

/// The schemas of objects, by their names.
struct Definitions(Map<String, Value>);

impl Definitions {
    /// The schema of an object; `tag`: its name stands in its field `type`.
    fn object(&mut self, object: &Object, tag: Option<&str>) -> Map<String, Value> {
        let tagged = tag.map(|tag| ("type".to_owned(), json!({ "const": tag })));
        let fields = object.fields.iter().map(|field| (field.name.to_owned(), self.field(field)));
        let properties: Map<String, Value> = tagged.into_iter().chain(fields).collect();
        let required = object.fields.iter().filter(|field| matches!(field.presence, Presence::Required(_)));
        let required: Vec<&str> = tag.map(|_| "type").into_iter().chain(required.map(|field| field.name)).collect();
        let schema = json!({
            "description": object.about,
            "type": "object",
            "required": required,
            "additionalProperties": false,
            "properties": properties
        });
        let mut schema = match schema {
            Value::Object(schema) => schema,
            _ => Map::new(),
        };
        let either = object.fields.iter().filter(|field| matches!(field.presence, Presence::Either { .. }));
        let either: Vec<Value> = either.map(|field| json!({ "required": [field.name] })).collect();
        if !either.is_empty() {
            schema.insert("oneOf".to_owned(), either.into());
        }
        schema
    }

    /// Refers to the schema of an object, which is put among the others.
    fn reference(&mut self, object: &Object, tag: Option<&str>) -> Value {
        let schema = self.object(object, tag);
        self.0.insert(object.name.to_owned(), schema.into());
        json!({ "$ref": format!("#/$defs/{}", object.name) })
    }

    fn field(&mut self, field: &Field) -> Value {
        let mut schema = match &field.kind {
            Kind::Version => json!({ "const": VERSION }),
            Kind::Object(object) => self.reference(object, None),
            Kind::OneOf { variants, .. } => {
                let variants: Vec<Value> =
                    variants.iter().map(|variant| self.reference(variant, Some(variant.name))).collect();
                json!({ "oneOf": variants })
            }
            Kind::List { most, item } => {
                json!({ "type": "array", "maxItems": most, "items": self.reference(item, None) })
            }
            Kind::Texts { most } => json!({ "type": "array", "maxItems": most, "items": { "$ref": "#/$defs/text" } }),
            Kind::TextsByName { most, equals } => {
                let names = if *equals {
                    json!({ "$ref": "#/$defs/name" })
                } else {
                    json!({ "pattern": "^[^=\\u0000]+$", "maxLength": MAX_NAME })
                };
                json!({
                    "type": "object", "maxProperties": most, "propertyNames": names,
                    "additionalProperties": { "$ref": "#/$defs/text" }
                })
            }
            Kind::Name { refused } => json!({ "$ref": "#/$defs/name", "not": { "const": refused.name } }),
            Kind::Path => json!({ "$ref": "#/$defs/path" }),
            Kind::Link => json!({ "$ref": "#/$defs/cid" }),
            Kind::Url => json!({ "type": "string", "pattern": URL, "maxLength": MAX_URL }),
            Kind::Label => json!({ "type": "string", "pattern": "^[a-z0-9][a-z0-9._-]*$", "maxLength": MAX_LABEL }),
            Kind::Image => {
                json!({ "anyOf": [{ "$ref": "#/$defs/image" }, { "$ref": "#/$defs/cid", "not": { "pattern": "[@:/]" } }] })
            }
            Kind::Count { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
        };
        if let Value::Object(schema) = &mut schema {
            schema.insert("description".into(), field.about.into());
            if let Some(Default::Always(default)) = field.default()
                && !default().is_null()
            {
                schema.insert("default".into(), default());
            }
        }
        schema
    }
}
