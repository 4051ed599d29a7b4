//! What a party does about the market: sans-I/O agents of providers and clients.

mod effect;

pub use effect::EffectKey;
