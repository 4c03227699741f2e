//! Scripts as GitLab's runner writes them, and anything else: a stage has a folder that is a path, and what is cut off
//! changes no answer into another one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runward_ci::Stage;

fuzz_target!(|script: &[u8]| {
    let Some(stage) = Stage::of_script(script) else {
        return;
    };
    assert!(!stage.slot.is_empty() && !stage.slot.contains(char::is_control));
    assert!(stage.workspace().is_none_or(|path| path.starts_with('/')));
    let whole = [script, b"\nexit 0\n"].concat();
    if let Some(again) = Stage::of_script(&whole) {
        assert_eq!(again.slot, stage.slot);
    }
});
