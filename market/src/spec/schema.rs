//! The spec's JSON schema, for editors and generated clients.

use serde_json::{Value, json};

use super::{
    DEFAULT_ENTRY, DEFAULT_OUTPUTS, MAX_ARGS, MAX_ENV, MAX_INPUTS, MAX_LABELS, MAX_MEMORY, MAX_NAME, MAX_PATH,
    MIN_MEMORY, VERSION,
};
use crate::model::MAX_WINDOW;

/// The JSON schema (draft 2020-12) of a spec in JSON. It accepts everything that [`parse_json`](super::parse_json) accepts;
/// what it cannot say (paths within each other, sizes in bytes of UTF-8, codecs of CIDs) the parser checks beyond it.
#[must_use]
pub fn json_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Lota job specification",
        "type": "object",
        "required": ["version", "engine", "limits"],
        "additionalProperties": false,
        "properties": {
            "version": { "const": VERSION, "description": "The version of this format." },
            "engine": { "oneOf": [{ "$ref": "#/$defs/wasm" }], "description": "What runs the job, and what it runs." },
            "args": {
                "description": "The program's arguments, without its own name.",
                "type": "array", "maxItems": MAX_ARGS, "items": { "$ref": "#/$defs/text" }, "default": []
            },
            "env": {
                "description": "The program's environment variables.",
                "type": "object", "maxProperties": MAX_ENV, "default": {},
                "propertyNames": { "pattern": "^[^=\\u0000]+$", "maxLength": MAX_NAME },
                "additionalProperties": { "$ref": "#/$defs/text" }
            },
            "inputs": {
                "description": "Content that is mounted read-only.",
                "type": "array", "maxItems": MAX_INPUTS, "items": { "$ref": "#/$defs/input" }, "default": []
            },
            "outputs": {
                "description": "The directory whose content is the job's output.",
                "$ref": "#/$defs/path", "default": DEFAULT_OUTPUTS
            },
            "limits": { "$ref": "#/$defs/limits" },
            "labels": {
                "description": "Whatever the client wants to find its jobs by.",
                "type": "object", "maxProperties": MAX_LABELS, "default": {},
                "propertyNames": { "$ref": "#/$defs/name" },
                "additionalProperties": { "$ref": "#/$defs/text" }
            }
        },
        "$defs": {
            "wasm": {
                "description": "A WebAssembly module with WASI preview 1.",
                "type": "object", "required": ["type", "module"], "additionalProperties": false,
                "properties": {
                    "type": { "const": "wasm" },
                    "module": { "$ref": "#/$defs/cid", "description": "The module: a file." },
                    "entry": {
                        "description": "The exported function that is called.",
                        "$ref": "#/$defs/name", "not": { "const": "_initialize" }, "default": DEFAULT_ENTRY
                    }
                }
            },
            "input": {
                "type": "object", "required": ["cid"], "additionalProperties": false,
                "properties": {
                    "cid": { "$ref": "#/$defs/cid", "description": "A file or directory." },
                    "path": {
                        "description": "Its path in the guest; by default /inputs, or /inputs/<n> when there are several.",
                        "$ref": "#/$defs/path"
                    }
                }
            },
            "limits": {
                "description": "What the job may use up. Exhausting one of them is a result.",
                "type": "object", "additionalProperties": false,
                "required": ["fuel", "memory", "output", "entries", "wall"],
                "properties": {
                    "fuel": { "$ref": "#/$defs/positive", "description": "Units of fuel." },
                    "memory": {
                        "description": "Memory, in bytes.",
                        "type": "integer", "minimum": MIN_MEMORY, "maximum": MAX_MEMORY
                    },
                    "output": { "$ref": "#/$defs/positive", "description": "Everything that is written, in bytes." },
                    "entries": { "$ref": "#/$defs/positive", "description": "Files and directories in the output." },
                    "wall": {
                        "description": "Time on the clock, in seconds.",
                        "type": "integer", "minimum": 1, "maximum": MAX_WINDOW
                    }
                }
            },
            "positive": { "type": "integer", "minimum": 1, "maximum": u64::MAX },
            "text": { "type": "string", "pattern": "^[^\\u0000]*$" },
            "name": { "type": "string", "pattern": "^[^\\u0000]+$", "maxLength": MAX_NAME },
            "path": {
                "type": "string", "maxLength": MAX_PATH,
                "pattern": "^(/(?!\\.{1,2}(/|$))[^/\\u0000]+)+$"
            },
            "cid": {
                "description": "A CID of UnixFS or raw content, hashed with sha2-256.",
                "type": "string", "pattern": "^([A-Za-z].{45,}|Qm[1-9A-HJ-NP-Za-km-z]{44})$"
            }
        }
    })
}
