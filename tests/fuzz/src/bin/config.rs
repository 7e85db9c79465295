#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    pinnace_fuzz::config(input);
});
