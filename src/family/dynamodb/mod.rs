//! wip
pub mod item;
pub mod key;
pub mod malformed;
pub mod name;
pub mod number;
pub mod rows;
pub mod schema;
pub mod walk;
