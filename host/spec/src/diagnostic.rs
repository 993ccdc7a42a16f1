//! Errors drawn beside the lines they are about.

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use super::place::{FileId, Files, Place};

/// One error, ready to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, in a line.
    pub title: String,
    /// Where, and what to say there; nothing for what has no place in a file.
    pub place: Option<(Place, String)>,
    /// Another place that it has to do with.
    pub related: Option<(Place, String)>,
    /// What to change.
    pub help: Option<String>,
}

/// Draws errors beside the lines of `files`. The result ends without a newline.
pub fn render(diagnostics: &[Diagnostic], files: &Files, color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let drawn: Vec<String> = diagnostics
        .iter()
        .map(|diagnostic| draw(&renderer, diagnostic, files))
        .collect();
    drawn.join("\n\n")
}

fn draw(renderer: &Renderer, diagnostic: &Diagnostic, files: &Files) -> String {
    let title = Level::ERROR.primary_title(&diagnostic.title);
    let primary = diagnostic.place.as_ref();
    let mut marks: Vec<(FileId, Annotation<'_>)> = Vec::new();
    for (kind, marked) in [
        (AnnotationKind::Primary, primary),
        (AnnotationKind::Context, diagnostic.related.as_ref()),
    ] {
        // Without a line of its own, an error is not drawn beside that of another.
        if let (Some((place, label)), Some(_)) = (marked, primary) {
            let span = within(files.text(place.file), &place.range);
            marks.push((place.file, kind.span(span).label(label.as_str())));
        }
    }
    let mut drawn: Vec<(FileId, Snippet<'_, Annotation<'_>>)> = Vec::new();
    for (file, mark) in marks {
        match drawn.pop() {
            Some((same, snippet)) if same == file => drawn.push((file, snippet.annotation(mark))),
            other => {
                drawn.extend(other);
                let snippet = Snippet::source(files.text(file))
                    .line_start(1)
                    .path(files.path(file).display().to_string());
                drawn.push((file, snippet.annotation(mark)));
            }
        }
    }
    let mut group = Group::with_title(title);
    for (_, snippet) in drawn {
        group = group.element(snippet);
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help));
    }
    renderer.render(&[group])
}

/// The place, cut to the text and to whole characters: a wrong place must not hide an error.
fn within(source: &str, place: &Range<usize>) -> Range<usize> {
    let start = source.floor_char_boundary(place.start);
    let end = source.ceil_char_boundary(place.end.max(start));
    start..end
}
