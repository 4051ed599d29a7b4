//! The rooms of each crate: no two of them import each other, not even around a corner.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// The rooms that each room of a crate imports. A room is a file or folder right below `src`, with what is in it.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// The sources of each room, without comments and unit tests.
fn rooms(src: &Path) -> BTreeMap<String, String> {
    fn collect(path: &Path, text: &mut String) {
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name == "tests") {
                return;
            }
            for entry in std::fs::read_dir(path).expect("a folder") {
                collect(&entry.expect("an entry").path(), text);
            }
        } else if path.extension().is_some_and(|end| end == "rs")
            && path.file_stem().is_some_and(|name| name != "tests")
        {
            let source = std::fs::read_to_string(path).expect("UTF-8");
            let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    let mut rooms = BTreeMap::<String, String>::new();
    for entry in std::fs::read_dir(src).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_str().expect("UTF-8").to_owned();
        if name != "main" && name != "lib" {
            collect(&path, rooms.entry(name).or_default());
        }
    }
    rooms
}

/// The first names after each `crate::`, also in braces.
fn first_names(code: &str) -> BTreeSet<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let mut names = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(list) = rest.strip_prefix('{') else {
            names.insert(name(rest));
            continue;
        };
        let mut depth = 0;
        let mut begins = true;
        for (at, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                c if begins && !c.is_whitespace() => {
                    names.insert(name(&list[at..]));
                    begins = false;
                }
                _ => {}
            }
        }
    }
    names
}

/// The room of each name that `lib.rs` exports from one.
fn exports(lib: &str, rooms: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let code: String =
        lib.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|l| [l, "\n"]).collect();
    let mut exports = BTreeMap::new();
    for statement in code.split("use ").skip(1) {
        let path = statement.split(';').next().unwrap_or_default();
        let path = path.trim_start_matches("self::").trim_start_matches("crate::");
        let Some((room, rest)) = path.split_once("::").filter(|(room, _)| rooms.contains_key(*room)) else { continue };
        assert!(!rest.contains('*'), "`use {path}` does not say what it exports");
        let names = rest.split(|c| !is_name(c)).filter(|name| !name.is_empty() && !rooms.contains_key(*name));
        exports.extend(names.map(|name| (name.to_owned(), room.to_owned())));
    }
    exports
}

fn imports(rooms: &BTreeMap<String, String>, exports: &BTreeMap<String, String>) -> Imports {
    let of = |(room, code): (&String, &String)| {
        let named = first_names(code).into_iter().map(|name| exports.get(&name).cloned().unwrap_or(name));
        let others = named.filter(|name| name != room && rooms.contains_key(name));
        (room.clone(), others.collect())
    };
    rooms.iter().map(of).collect()
}

/// A way from a room back to itself, if there is one.
fn circle(imports: &Imports) -> Option<Vec<String>> {
    fn walk(room: &str, imports: &Imports, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> bool {
        if let Some(begin) = way.iter().position(|before| before == room) {
            way.drain(..begin);
            return true;
        }
        if !done.insert(room.to_owned()) {
            return false;
        }
        way.push(room.to_owned());
        if imports[room].iter().any(|next| walk(next, imports, way, done)) {
            return true;
        }
        way.pop();
        false
    }
    let mut done = BTreeSet::new();
    imports.keys().find_map(|room| {
        let mut way = Vec::new();
        walk(room, imports, &mut way, &mut done).then_some(way)
    })
}

#[test]
fn no_crate_has_rooms_that_import_each_other_in_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let crates = [
        "market",
        "database",
        "content",
        "bridge",
        "api",
        "node",
        "fil-plus",
        "fil-plus/notary",
        "notary-dashboard",
        "simulator",
        "cli",
    ];
    for name in crates {
        let src = root.join(name).join("src");
        let rooms = rooms(&src);
        let lib = std::fs::read_to_string(src.join("lib.rs")).unwrap_or_default();
        let imports = imports(&rooms, &exports(&lib, &rooms));
        assert!(rooms.len() > 3, "{name} has no rooms?");
        assert!(
            ["api", "database"].contains(&name) || imports.values().any(|others| !others.is_empty()),
            "{name} imports nothing?"
        );
        if let Some(way) = circle(&imports) {
            panic!("in {name}, rooms import each other in a circle: {} -> {}", way.join(" -> "), way[0]);
        }
    }
}

#[test]
fn a_circle_is_found() {
    let rooms =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(name, code)| ((*name).to_owned(), (*code).to_owned())).collect();
    let found = |pairs| circle(&imports(&rooms(pairs), &BTreeMap::new()));
    assert_eq!(found(&[("a", "use crate::b::X;"), ("b", "use crate::c;"), ("c", "")]), None);
    let way = found(&[
        ("a", "use crate::{\n    d::{c, e},\n    b::X,\n};"),
        ("b", "crate::c::y()"),
        ("c", "use crate::b;"),
        ("d", ""),
    ]);
    assert_eq!(way, Some(vec!["b".to_owned(), "c".to_owned()]));
}

#[test]
fn a_circle_through_the_names_that_a_crate_exports_is_found() {
    let room = |(name, code): (&str, &str)| (name.to_owned(), code.to_owned());
    let rooms: BTreeMap<_, _> =
        [("a", "use crate::{Made, c};"), ("b", "use crate::a;"), ("c", "crate::Other")].map(room).into();
    let lib =
        "mod a;\n// pub use a::Other;\npub use alloy::Other;\npub use b::{\n    Kept,\n    inner::Thing as Made,\n};\n";
    let exports = exports(lib, &rooms);
    assert_eq!(exports.get("Made").map(String::as_str), Some("b"));
    assert_eq!(exports.get("Other"), None);
    assert_eq!(circle(&imports(&rooms, &exports)), Some(vec!["a".to_owned(), "b".to_owned()]));
}

/// What Anvil writes to the disk by itself stays there when it is killed: 33 GB had collected once.
#[test]
fn every_anvil_is_told_to_keep_no_states_on_the_disk() {
    fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && !name.starts_with('.') && !["target", "node_modules", "out", "cache"].contains(&name) {
                sources(&path, found);
            } else if path.extension().is_some_and(|end| end == "rs" || end == "js") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    sources(Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace"), &mut found);
    // Whoever starts one says which fork, in this form.
    let fork = ["\"--hard", "fork\""].concat();
    let mut starts = 0;
    for path in found {
        let Ok(source) = std::fs::read_to_string(&path) else { continue };
        if source.contains(&fork) {
            starts += 1;
            assert!(source.contains("--prune-history"), "{} starts Anvil without --prune-history", path.display());
        }
    }
    assert!(starts >= 5, "only {starts} files start one?");
}
