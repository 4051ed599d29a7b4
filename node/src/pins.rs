//! The names under which the block store keeps what belongs to a job.

use lota_content::Store;
use lota_market::model::JobId;

/// A job's module (number 0) or input, at its provider.
pub(crate) fn content_pin(job: JobId, number: usize) -> String {
    format!("job/{job}/{number}")
}

/// What the client holds for the providers: module, inputs, and a spec that does not fit into the event.
pub(crate) fn order_pin(job: JobId, number: usize) -> String {
    format!("order/{job}/{number}")
}

/// A spec that had to be fetched.
pub(crate) fn spec_pin(job: JobId) -> String {
    format!("spec/{job}")
}

/// A job's output.
pub(crate) fn output_pin(job: JobId) -> String {
    format!("output/{job}")
}

/// Lets go of what a job needed.
pub(crate) fn release(content: &Store, job: JobId) {
    unpin(content, &spec_pin(job));
    for pin in [content_pin, order_pin] {
        let mut number = 0;
        // What a job runs need not be content; its inputs are numbered from 1 all the same.
        while unpin(content, &pin(job, number)) || number == 0 {
            number += 1;
        }
    }
}

/// Takes a pin off; says whether there was one.
pub(crate) fn unpin(content: &Store, name: &str) -> bool {
    content.unpin(name).map(|cid| cid.is_some()).unwrap_or_else(|error| {
        tracing::warn!(name, %error, "a pin could not be taken off");
        false
    })
}
