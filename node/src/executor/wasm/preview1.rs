//! The types and the trait of WASI preview 1, made from its definition in `node/witx`.

#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]

wiggle::from_witx!({
    witx: ["witx/wasi_snapshot_preview1.witx"],
    errors: { errno => trappable Error },
    wasmtime: false,
});

impl wiggle::GuestErrorType for types::Errno {
    fn success() -> Self {
        Self::Success
    }
}

/// As the definition says of pointers: one that is misaligned or out of bounds ends the program. Other arguments that make no
/// sense are an error number.
impl From<wiggle::GuestError> for types::Error {
    fn from(error: wiggle::GuestError) -> Self {
        use wiggle::GuestError as Guest;
        match error {
            Guest::PtrOverflow { .. } | Guest::PtrOutOfBounds { .. } | Guest::PtrNotAligned { .. } => {
                Self::trap(wasmtime::Error::new(error))
            }
            Guest::InvalidFlagValue { .. } | Guest::InvalidEnumValue { .. } => types::Errno::Inval.into(),
            Guest::InvalidUtf8 { .. } => types::Errno::Ilseq.into(),
            Guest::TryFromIntError { .. } => types::Errno::Overflow.into(),
            Guest::SliceLengthsDiffer { .. } => types::Errno::Fault.into(),
            Guest::InFunc { err, .. } => (*err).into(),
        }
    }
}
