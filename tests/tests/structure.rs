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

fn imports(rooms: &BTreeMap<String, String>) -> Imports {
    let of = |(room, code): (&String, &String)| {
        let others = first_names(code).into_iter().filter(|name| name != room && rooms.contains_key(name));
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
    for name in ["market", "content", "bridge", "api", "node", "cli"] {
        let rooms = rooms(&root.join(name).join("src"));
        let imports = imports(&rooms);
        assert!(rooms.len() > 3, "{name} has no rooms?");
        assert!(name == "api" || imports.values().any(|others| !others.is_empty()), "{name} imports nothing?");
        if let Some(way) = circle(&imports) {
            panic!("in {name}, rooms import each other in a circle: {} -> {}", way.join(" -> "), way[0]);
        }
    }
}

#[test]
fn a_circle_is_found() {
    let rooms =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(name, code)| ((*name).to_owned(), (*code).to_owned())).collect();
    let found = |pairs| circle(&imports(&rooms(pairs)));
    assert_eq!(found(&[("a", "use crate::b::X;"), ("b", "use crate::c;"), ("c", "")]), None);
    let way = found(&[
        ("a", "use crate::{\n    d::{c, e},\n    b::X,\n};"),
        ("b", "crate::c::y()"),
        ("c", "use crate::b;"),
        ("d", ""),
    ]);
    assert_eq!(way, Some(vec!["b".to_owned(), "c".to_owned()]));
}
