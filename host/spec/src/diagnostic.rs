//! Errors drawn beside the lines they are about.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// One error, ready to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, in a line.
    pub title: String,
    /// Where, in bytes of the source text, and what to say there; nothing for what has no place in the file.
    pub place: Option<(Range<usize>, String)>,
    /// Another place that it has to do with.
    pub related: Option<(Range<usize>, String)>,
    /// What to change.
    pub help: Option<String>,
}

/// Draws errors beside the lines of `source`, which is the text of `file_name`. The result ends without a newline.
pub fn render(diagnostics: &[Diagnostic], file_name: &str, source: &str, color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let drawn: Vec<String> = diagnostics
        .iter()
        .map(|diagnostic| draw(&renderer, diagnostic, file_name, source))
        .collect();
    drawn.join("\n\n")
}

fn draw(renderer: &Renderer, diagnostic: &Diagnostic, file_name: &str, source: &str) -> String {
    let title = Level::ERROR.primary_title(&diagnostic.title);
    let mut group = match &diagnostic.place {
        None => Group::with_title(title),
        Some((place, label)) => {
            let mut snippet = Snippet::source(source)
                .line_start(1)
                .path(file_name)
                .annotation(
                    AnnotationKind::Primary
                        .span(within(source, place))
                        .label(label.as_str()),
                );
            if let Some((place, label)) = &diagnostic.related {
                snippet = snippet.annotation(
                    AnnotationKind::Context
                        .span(within(source, place))
                        .label(label.as_str()),
                );
            }
            title.element(snippet)
        }
    };
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
