//! A job's description as people hand it in: a spec, or a request (a spec with terms).

use std::{io::Read as _, path::Path};

use anyhow::Context as _;
use lota_api::{JobRequest, TermsRequest};
use lota_market::spec::{self, SpecProblems};

use crate::failure::Usage;

/// The most bytes that are read: a spec, and its terms.
const MAX_BYTES: u64 = 2 * spec::MAX_BYTES as u64;

/// What to do with YAML.
const YAML: &str = "; it looks like YAML, which is not read: a job is described in JSON (docs/spec.md; \
    `lota job validate --schema`), and docs/bacalhau.md helps with jobs of Bacalhau";
/// What to do with a job of Bacalhau.
const BACALHAU: &str = "is a job for Bacalhau, whose format is another: describe it as docs/spec.md says, and see \
    docs/bacalhau.md for what differs";

/// A description that has been read and found to be without fault.
pub(crate) struct Document {
    /// The request.
    pub(crate) request: JobRequest,
}

/// Reads `path`, or stdin for `-`.
///
/// # Errors
/// When it cannot be read or is too large.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let (name, reader): (String, Box<dyn std::io::Read>) = if path == Path::new("-") {
        ("stdin".to_owned(), Box::new(std::io::stdin()))
    } else {
        let file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        (path.display().to_string(), Box::new(file))
    };
    let mut text = Vec::new();
    reader.take(MAX_BYTES + 1).read_to_end(&mut text).with_context(|| format!("cannot read {name}"))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(Usage(format!("{name} has more than {MAX_BYTES} bytes; put what is large into an input")).into());
    }
    Ok(text)
}

/// Understands a description. What has a field `spec` is a request, all else is a spec.
///
/// # Errors
/// [`Faults`]: everything that is wrong with it.
pub(crate) fn parse(text: &[u8]) -> Result<Document, Faults> {
    let whole: serde_json::Value = serde_json::from_slice(text).map_err(|error| {
        let hint = if looks_like_yaml(text) { YAML } else { "" };
        Faults::one(format!("is not JSON: {error}{hint}"))
    })?;
    if is_of_bacalhau(&whole) {
        return Err(Faults::one(BACALHAU.to_owned()));
    }
    let is_request = whole.as_object().is_some_and(|fields| fields.contains_key("spec"));
    if !is_request {
        // The text itself: a field that occurs twice is gone from the value.
        let spec = spec::parse_json(text)?;
        return Ok(Document { request: request_of(&spec)? });
    }
    let request: JobRequest =
        serde_json::from_slice(text).map_err(|error| Faults::one(format!("is not a job request: {error}")))?;
    let bytes = serde_json::to_vec(&request.spec).map_err(|error| Faults::one(error.to_string()))?;
    spec::parse_json(&bytes)?;
    Ok(Document { request })
}

/// Whether a text that is no JSON is most likely YAML: it does not begin as JSON does, and its first line names a field.
fn looks_like_yaml(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or_default();
    line == "---" || (!line.starts_with(['{', '[', '"']) && (line.ends_with(':') || line.contains(": ")))
}

/// Whether it has the fields of a job of Bacalhau, and none of Lota's.
fn is_of_bacalhau(whole: &serde_json::Value) -> bool {
    let has = |field: &str| whole.get(field).is_some();
    (has("Tasks") || has("APIVersion") || has("Job") || has("Spec")) && !has("engine") && !has("spec")
}

fn request_of(spec: &spec::ValidatedSpec) -> Result<JobRequest, Faults> {
    let spec = serde_json::from_str(&spec.to_json()).map_err(|error| Faults::one(error.to_string()))?;
    Ok(JobRequest { spec, terms: TermsRequest::default(), key: None })
}

/// What is wrong with a description.
#[derive(Debug)]
pub(crate) struct Faults(pub(crate) Vec<String>);

impl Faults {
    fn one(problem: String) -> Self {
        Self(vec![problem])
    }

    /// As an error in one line; `name` is where the description is from.
    pub(crate) fn into_usage(self, name: &Path) -> Usage {
        let name =
            if name == Path::new("-") { "the description on stdin".to_owned() } else { name.display().to_string() };
        match self.0.as_slice() {
            [one] => Usage(format!("{name}: {one}")),
            many => Usage(format!("{name} has {} problems: {}", many.len(), many.join("; "))),
        }
    }
}

impl From<SpecProblems> for Faults {
    fn from(problems: SpecProblems) -> Self {
        Self(problems.iter().map(ToString::to_string).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_and_a_request_are_told_apart() {
        let document = parse(spec::EXAMPLE.as_bytes()).expect("a spec");
        assert_eq!(document.request.spec["version"], 1);
        let request = format!("{{\"spec\": {}, \"terms\": {{\"max_price\": \"5\"}}}}", spec::EXAMPLE);
        let document = parse(request.as_bytes()).expect("a request");
        assert_eq!(document.request.terms.max_price.map(|amount| amount.0), Some(5));
    }

    #[test]
    fn every_problem_is_named() {
        let faults = parse(br#"{"version": 2, "colour": "red"}"#).err().expect("faults").0;
        assert!(faults.len() >= 3, "{faults:?}");
        for part in ["version", "colour", "engine"] {
            assert!(faults.iter().any(|fault| fault.contains(part)), "{part}: {faults:?}");
        }
        for yaml in [&b"name: wordcount\nengine:\n"[..], b"---\nTasks:\n", b"# a job\n\nTasks:\n"] {
            assert!(parse(yaml).err().expect("no JSON").0[0].contains("looks like YAML"));
        }
        assert!(!parse(b"{\"a\": ").err().expect("cut off").0[0].contains("YAML"));
        for job in [r#"{"Name":"x","Type":"batch","Tasks":[]}"#, r#"{"APIVersion":"V1beta1","Spec":{}}"#] {
            assert!(parse(job.as_bytes()).err().expect("another format").0[0].contains("docs/bacalhau.md"));
        }
        assert!(parse(b"{").err().expect("no JSON").0[0].contains("not JSON"));
        assert!(parse(b"{\"spec\": {}, \"colour\": 1}").err().expect("unknown").0[0].contains("colour"));
    }
}
