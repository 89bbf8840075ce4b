//! JSON as text: scanned and kept as it was written.

mod name;
mod object;
mod pieces;
mod scan;
mod value;

pub use name::quoted_name;
pub use object::{Scalar, for_each_member, seconds};
pub use pieces::{Pieces, StringAt};
pub(crate) use scan::Scanner;
pub use scan::is_plain;
pub use value::Json;
