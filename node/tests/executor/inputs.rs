//! Inputs of the host: what is shown of them, and what never is.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use lota_node::executor::{ExecutorError, Input, ModuleSource};

use crate::support::{Case, behave, executor};

#[test]
fn inputs_can_be_files_and_directories_inside_one_another() {
    let case = behave(["list", "/in"]);
    let case = case
        .input("/in/deep/er", &[("d", b"4444")])
        .input("/in", &[("a", b"1"), ("sub/b", b"22"), ("deep/hidden/x", b""), ("deep/er/never", b"seen")]);
    let file = case.directory.path().join("single");
    fs::write(&file, "333").unwrap();
    let case = case.edit(|run| {
        run.inputs.push(Input { guest_path: "/in/sub/single".to_owned(), host_path: file.clone() });
        run.inputs.push(Input { guest_path: "/in/a".to_owned(), host_path: file.clone() });
    });
    let expected = "/in/a\t3\n/in/deep/er/d\t4\n/in/deep/hidden/x\t0\n/in/sub/b\t2\n/in/sub/single\t3\n";
    assert_eq!(case.succeed(), expected);
}

#[test]
fn a_file_mounted_alone_can_be_read() {
    let case = behave(["cat", "/settings/input.txt"]);
    let file = case.directory.path().join("single");
    fs::write(&file, "content").unwrap();
    let input = Input { guest_path: "/settings/input.txt".to_owned(), host_path: file };
    assert_eq!(case.edit(|run| run.inputs.push(input)).succeed(), "content");
}

#[test]
fn links_and_special_files_are_not_there() {
    let case = behave(["list", "/inputs"]);
    let case = case.input("/inputs", &[("real", b"real"), ("directory/inner", b"inner")]);
    let root = case.run.inputs[0].host_path.clone();
    let secret = case.directory.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    symlink(&secret, root.join("link-to-file")).unwrap();
    symlink("/etc", root.join("link-to-directory")).unwrap();
    symlink("real", root.join("directory/link-inside")).unwrap();
    symlink("..", root.join("directory/up")).unwrap();
    let _socket = UnixListener::bind(root.join("socket")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, root.join("pipe"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    let not_utf8 = std::ffi::OsStr::from_bytes(b"bad-\xff");
    fs::write(root.join(not_utf8), "x").unwrap();
    assert_eq!(case.succeed(), "/inputs/directory/inner\t5\n/inputs/real\t4\n");
    for path in ["/inputs/link-to-file", "/inputs/link-to-directory/passwd", "/inputs/pipe", "/inputs/socket"] {
        let other = behave(["cat", path]);
        let other = other.edit(|run| run.inputs = case.run.inputs.clone());
        assert_eq!(other.execute().exit_code, 134, "{path} cannot be opened");
    }
}

#[test]
fn an_input_that_is_a_link_or_missing_is_the_providers_failure() {
    let target = tempfile::tempdir().unwrap();
    let link = target.path().join("link");
    symlink(target.path(), &link).unwrap();
    for host_path in [link, target.path().join("missing"), "/dev/null".into()] {
        let case = Case::wat(r#"(module (memory (export "memory") 1) (func (export "_start")))"#);
        let input = Input { guest_path: "/inputs".to_owned(), host_path: host_path.clone() };
        let error = case.edit(|run| run.inputs.push(input)).try_execute_on(&executor()).unwrap_err();
        assert!(matches!(&error, ExecutorError::Input { host_path: at, .. } if *at == host_path), "{error}");
    }
}

#[test]
fn a_module_that_is_a_link_is_not_followed() {
    let case = Case::wat(r#"(module (memory (export "memory") 1) (func (export "_start")))"#);
    let bytes = case.module();
    let (file, link) = (case.directory.path().join("m.wasm"), case.directory.path().join("link.wasm"));
    fs::write(&file, bytes).unwrap();
    symlink(&file, &link).unwrap();
    let case = case.wasm(|run| run.module = ModuleSource::Path(link));
    assert!(matches!(case.try_execute_on(&executor()), Err(ExecutorError::Module { .. })));
    let case = case.wasm(|run| run.module = ModuleSource::Path(file));
    assert_eq!(case.execute().exit_code, 0);
}
