//! A report as one page of HTML that needs nothing else: no network, no file beside it.
//!
//! What can be told without a program is in the page itself, as text and tables; a script of its own draws what takes the space, as
//! buttons that a keyboard and a screen reader reach. The same report is the same bytes.

mod markup;
mod usage;

use serde_json::{Value, json};

use crate::json::sized;
use cellblock_build::contract::Volume;
use cellblock_build::text::{PathBytes, exact, grouped, human};
use cellblock_build::tree::Tree;

use markup::{Escaped, data};
use usage::{Parts, Usage};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What is told of an image.
#[derive(Debug, Default)]
pub struct Page {
    /// What it is about: the name of a file.
    pub title: String,
    /// What is said of it as a whole, by names.
    pub facts: Vec<(&'static str, String)>,
    /// The bytes of the disk, and what lies on it in the order of its bytes; nothing of a lone file system.
    pub disk: Option<(u64, Vec<Piece>)>,
    /// Its file systems.
    pub volumes: Vec<Held>,
    /// How it differs from another one.
    pub differences: Option<Differences>,
}

/// What lies on a disk.
#[derive(Debug)]
pub struct Piece {
    /// The first byte.
    pub start: u64,
    /// The number of bytes.
    pub size: u64,
    /// What it is called; `partition` says whether it is one.
    pub name: String,
    /// Of a partition its number, 0 if it has none.
    pub partition: Option<u32>,
    /// What else is told of it, by the titles of columns.
    pub cells: Vec<(&'static str, String)>,
}

/// A file system, or why it was not read.
#[derive(Debug)]
pub struct Held {
    name: String,
    content: Result<Box<(Volume, Usage)>, String>,
}

impl Held {
    /// One that was read.
    pub fn read(name: String, volume: &Volume, tree: &Tree) -> Self {
        let usage = Usage::of(volume, tree);
        Self {
            name,
            content: Ok(Box::new((volume.clone(), usage))),
        }
    }

    fn figures(&self) -> Value {
        let (volume, usage) = match &self.content {
            Ok(content) => &**content,
            Err(why) => return json!({ "name": self.name, "unread": why }),
        };
        let list = |found: &[(PathBytes, u64)]| -> Vec<Value> {
            let found = found.iter();
            found.map(|(path, bytes)| sized(&path.0, *bytes)).collect()
        };
        let Parts {
            files,
            metadata,
            journal,
            free,
            content,
        } = usage.parts;
        json!({
            "name": self.name,
            "kind": volume.kind,
            "size": volume.size,
            "files": files,
            "metadata": metadata,
            "journal": journal,
            "free": free,
            "content": content,
            "names": usage.names,
            "largest-folders": list(&usage.folders),
            "largest-files": list(&usage.files),
        })
    }

    /// One that could not be read, and why.
    pub fn unread(name: String, why: String) -> Self {
        Self {
            name,
            content: Err(why),
        }
    }
}

/// How an image differs from another one.
#[derive(Debug, Default)]
pub struct Differences {
    /// The other one.
    pub base: String,
    /// A line each; not all if there are many.
    pub lines: Vec<String>,
    /// How many there are.
    pub count: u64,
}

impl Page {
    /// What the page says of space and of differences, for programs: bytes.
    pub fn figures(&self) -> Value {
        let volumes: Vec<Value> = self.volumes.iter().map(Held::figures).collect();
        let mut figures = json!({ "image": self.title, "volumes": volumes });
        if let Some(Differences { base, lines, count }) = &self.differences {
            figures["differences"] = json!({ "base": base, "count": count, "lines": lines });
        }
        figures
    }

    /// The page.
    pub fn html(&self) -> String {
        let mut body = format!("<h1>{}</h1>\n", Escaped(&self.title));
        body += &markup::facts(&self.facts);
        if let Some((size, pieces)) = &self.disk {
            body += &disk(*size, pieces);
        }
        for (index, held) in self.volumes.iter().enumerate() {
            body += &volume(index, held);
        }
        if let Some(differences) = &self.differences {
            body += &changes(differences);
        }
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
             <title>{} · cellblock report</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n\
             <footer>cellblock {}</footer>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
            Escaped(&self.title),
            env!("CARGO_PKG_VERSION"),
        )
    }
}

fn disk(size: u64, pieces: &[Piece]) -> String {
    let titles: Vec<&str> = match pieces.iter().find(|piece| piece.partition.is_some()) {
        Some(piece) => piece.cells.iter().map(|(title, _)| *title).collect(),
        None => Vec::new(),
    };
    let mut header = vec!["number", "name", "start", "size"];
    header.extend(&titles);
    let partitions = pieces.iter().filter(|piece| piece.partition.is_some());
    let rows = partitions.map(|piece| {
        let number = piece.partition.filter(|number| *number > 0);
        let mut row = vec![
            number.map(|number| number.to_string()).unwrap_or_default(),
            piece.name.clone(),
            grouped(piece.start),
            exact(piece.size),
        ];
        row.extend(piece.cells.iter().map(|(_, text)| text.clone()));
        row
    });
    format!(
        "<section aria-labelledby=\"disk\">\n<h2 id=\"disk\">The disk, to scale</h2>\n{}{}</section>\n",
        markup::strip(size, pieces),
        markup::table("Partitions", &header, rows)
    )
}

fn volume(index: usize, held: &Held) -> String {
    let id = format!("volume-{index}");
    let name = Escaped(&held.name);
    let (volume, usage) = match &held.content {
        Ok(content) => &**content,
        Err(why) => {
            return format!(
                "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{name}</h2>\n<p>Not read: {}</p>\n</section>\n",
                Escaped(why)
            );
        }
    };
    let mut facts = vec![("file system", volume.kind.clone())];
    let optional = [("label", &volume.label), ("identifier", &volume.identifier)];
    let optional = optional.into_iter().filter(|(_, text)| !text.is_empty());
    facts.extend(optional.map(|(name, text)| (name, text.clone())));
    facts.push(("size", exact(volume.size)));
    facts.push(("block size", exact(u64::from(volume.block_size))));
    facts.push(("names", grouped(u64::from(usage.names))));
    let list = |caption: &str, what: &str, found: &[(PathBytes, u64)]| {
        let rows = found
            .iter()
            .map(|(path, size)| vec![path.to_string(), exact(*size)]);
        markup::table(caption, &[what, "size"], rows)
    };
    // Of one without files, the table says all.
    if usage.names <= 1 {
        let (facts, parts) = (markup::facts(&facts), of_parts(usage.parts));
        return format!(
            "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{name}</h2>\n{facts}{parts}</section>\n"
        );
    }
    format!(
        "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{name}</h2>\n{facts}{parts}\
         <div class=\"treemap\" data-name=\"{name}\">\n<noscript><p>The map of what takes the space needs JavaScript; the tables do not.</p></noscript>\n{data}</div>\n\
         <div class=\"pair\">\n{folders}{files}</div>\n</section>\n",
        facts = markup::facts(&facts),
        parts = of_parts(usage.parts),
        data = data(&usage.items),
        folders = list("Largest folders", "folder", &usage.folders),
        files = list("Largest files", "file", &usage.files),
    )
}

/// Where the bytes of a volume are, as a table.
fn of_parts(parts: Parts) -> String {
    let whole = parts.files + parts.metadata + parts.journal + parts.free;
    let row = |name: &str, size: u64| {
        let share = u128::from(size) * 1000 / u128::from(whole.max(1));
        let share = format!("{}.{} %", share / 10, share % 10);
        vec![name.to_owned(), exact(size), share]
    };
    let rows = [
        ("files", parts.files),
        ("metadata", parts.metadata),
        ("journal", parts.journal),
        ("free", parts.free),
    ];
    let rows = rows.into_iter().filter(|(_, size)| *size > 0);
    let mut text = markup::table(
        "What takes the space",
        &["what", "size", "share"],
        rows.map(|(name, size)| row(name, size)),
    );
    if parts.content > parts.files {
        text += &format!(
            "<p>The files have {} as programs see them: what is stored of them is compressed, has holes, or is shared.</p>\n",
            human(parts.content)
        );
    }
    text
}

fn changes(differences: &Differences) -> String {
    let Differences { base, lines, count } = differences;
    let base = Escaped(base);
    let begin = format!(
        "<section aria-labelledby=\"changes\">\n<h2 id=\"changes\">Differences to {base}</h2>\n"
    );
    if *count == 0 {
        return format!("{begin}<p>None.</p>\n</section>\n");
    }
    let items: String = lines
        .iter()
        .map(|line| format!("<li><code>{}</code></li>\n", Escaped(line)))
        .collect();
    let others = count - lines.len() as u64;
    let others = match others {
        0 => String::new(),
        others => format!("<p>And {} others.</p>\n", grouped(others)),
    };
    format!(
        "{begin}<p>{}: + is here alone, - is in {base} alone, ~ is in both, and another.</p>\n\
         <ul class=\"changes\">\n{items}</ul>\n{others}</section>\n",
        grouped(*count)
    )
}
