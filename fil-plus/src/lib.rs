//! The FIL+ registry: is this CID a FIL+ CID, by what evidence, and how sure is that?
//!
//! Sources ([`source`]) say things: chain nodes about claims, indexes about payloads, signed lists about anything. What they say is
//! checked ([`fact`]), kept ([`store`]) with the cursor behind it, and judged ([`judge`]) when somebody asks ([`registry`], [`api`]).
//! Claims and allocations name pieces; payloads are looked up by the pieces that they are said to be in.
//!
//! # What is trusted
//!
//! Nobody. A chain node's word counts for its chain alone, an advertiser's for nothing but itself, and a list counts if a key that the
//! operator named has signed it. Whoever contradicts another is shown beside the other.

pub mod answer;
pub mod api;
pub mod fact;
mod http_error;
pub mod judge;
pub mod keeper;
pub mod metrics;
pub mod registry;
pub mod reply;
pub mod source;
pub mod step;
pub mod store;
pub mod subject;
mod varint;
