//! Job specification.
