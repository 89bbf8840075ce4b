//! The async face.

mod face;
