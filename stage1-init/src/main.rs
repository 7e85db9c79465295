//! The freestanding program around `run`. Built by parent/build.rs with the script in linker/.

#![no_std]
#![no_main]

use stage1_init::kernel::{Descriptor, Linux, Processes as _, arch};

/// Written by parent/build.rs into both programs, so that they cannot be of two builds.
const BUILD_ID: [u8; shared_proto::limits::BUILD_ID_BYTES] = build_id(env!("PINNACE_BUILD_ID").as_bytes());

arch::entry!(start);

extern "C" fn start(stack: arch::InitialStack) -> ! {
    let mut kernel = Linux::new();
    match Descriptor::from_argument(stack.argument(1)) {
        Some(socket) => stage1_init::run(&mut kernel, socket, &BUILD_ID),
        // Nobody to report to: this program was not started by pinnace.
        None => kernel.exit(127),
    }
}

const fn build_id(text: &[u8]) -> [u8; shared_proto::limits::BUILD_ID_BYTES] {
    let mut id = [0; shared_proto::limits::BUILD_ID_BYTES];
    let mut index = 0;
    while index < id.len() {
        id[index] = text[index];
        index += 1;
    }
    id
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // A death without a report; the parent names it.
    arch::trap()
}
