#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| rushlight_fuzz_targets::typed_data(data));
