//! The contract's `wasi:io`: types that signatures of `wasi:filesystem/types` name. No formatter gets a value of them.

#![allow(unreachable_pub, reason = "the bindings re-export them")]

/// What the bindings expect of an interface without functions.
macro_rules! interface {
    ($instance:literal: $($name:literal $type:ident),+) => {
        use wasmtime::component::{HasData, Linker, ResourceType};

        /// Nothing is asked of a host.
        pub trait Host {}

        impl<T> Host for T {}

        /// Nothing is asked of a host.
        pub trait HostWithStore<T>: HasData {}

        impl<T, D: HasData> HostWithStore<T> for D {}

        /// Links the types.
        pub fn add_to_linker<T: 'static, D: HostWithStore<T>>(
            linker: &mut Linker<T>,
            _host: fn(&mut T) -> D::Data<'_>,
        ) -> wasmtime::Result<()>
        where
            for<'a> D::Data<'a>: Host,
        {
            let mut instance = linker.instance($instance)?;
            $(instance.resource($name, ResourceType::host::<$type>(), |_, _| Ok(()))?;)+
            Ok(())
        }
    };
}

/// `wasi:io/error`.
pub mod error {
    interface!("wasi:io/error@0.2.12": "error" Error);

    pub use crate::resources::Failure as Error;
}

/// `wasi:io/streams`.
pub mod streams {
    pub use super::error::Error;

    interface!("wasi:io/streams@0.2.12": "input-stream" InputStream, "output-stream" OutputStream);

    pub use crate::resources::{Input as InputStream, Output as OutputStream};
}
