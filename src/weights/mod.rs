//! Numbers made elsewhere: element types, NumPy files, pickles, PyTorch and safetensors files, read without executing
//! anything, and the typed taking of tensors from them.

mod checkpoint;
pub mod elements;
pub mod naming;
pub mod npy;
pub mod pickle;
mod safetensors_file;
mod scope;
mod tensor;
pub mod torch_file;

pub use checkpoint::Checkpoint;
pub use scope::Scope;
pub use tensor::{Tensor, Values};
