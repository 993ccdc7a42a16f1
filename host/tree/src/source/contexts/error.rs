//! What can be wrong with a file of contexts.

/// What is wrong with a file of contexts.
#[derive(Debug, thiserror::Error)]
pub enum ContextsError {
    /// A line is none of what it may be.
    #[error(
        "is '{text}': write EXPRESSION [TYPE] CONTEXT, with one of the types -- -d -l -c -b -p -s"
    )]
    Line {
        /// What it says.
        text: String,
    },
    /// What stands for a type is none.
    #[error("has the type '{text}'; there are -- (files), -d, -l, -c, -b, -p and -s")]
    Type {
        /// What it says.
        text: String,
    },
    /// What stands for a context is none.
    #[error("has the context '{text}'; write USER:ROLE:TYPE or USER:ROLE:TYPE:RANGE, or <<none>>")]
    Context {
        /// What it says.
        text: String,
    },
    /// An expression cannot be used.
    #[error("has the expression '{text}', which {reason}")]
    Expression {
        /// The expression.
        text: String,
        /// Why.
        reason: String,
    },
    /// An alias is not two paths.
    #[error("is '{text}': write the alias and the path that it stands for, both absolute")]
    Alias {
        /// What it says.
        text: String,
    },
    /// A byte that is in no text.
    #[error("has bytes that are no UTF-8")]
    NotText,
}
