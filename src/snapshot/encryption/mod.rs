//! Encrypted values: the two files that hold the keys (`sidecar`, `kek`), the keys themselves (`keyring`, `data_key`),
//! the envelope around each value (`envelope`), and opening it (`opener`), whole (`sealed`, `gcm`) or as it streams past
//! (`authenticator`, `stream`); what came up is counted in `counts` (`docs/format/encryption.md`).
//!
//! Key bytes never leave this folder: they are wiped when they are dropped, and nothing here prints them. Which rows are
//! encrypted, and what an opened one means, is for the bodies and the families to say.

mod authenticator;
mod counts;
mod data_key;
mod envelope;
mod gcm;
mod kek;
mod keyring;
mod open_error;
mod opener;
pub mod sealed;
mod sidecar;
mod stream;
#[cfg(test)]
mod vectors;

pub use authenticator::{Authenticator, Held, OpenedValue};
pub use counts::{RowStates, State, UnlistedKeyIds};
pub use data_key::DataKey;
pub use envelope::{
    ASSOCIATED_BYTES, AssociatedData, ENCRYPTED, ENVELOPE_BYTES, Envelope, NONCE_BYTES, OVERHEAD_BYTES,
    TAG_BYTES, VALUE_HEADER_BYTES,
};
pub use kek::{Kek, KekError};
pub use keyring::{KeyFileError, Keyring};
pub use open_error::{EncryptedRow, KeyIds, OpenError};
pub use opener::{BegunValue, Opener, Opening};
pub use sidecar::{Purpose, Sidecar, SidecarError};
pub use stream::KeyStream;
