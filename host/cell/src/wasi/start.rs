//! How a command is started for a request, and why it is not.

use super::Invocation;
use crate::files::PARTITION;
use crate::legible::legible;
use cellblock_contract::{CommandLine, Loss, Placeholder, Request};
use cellblock_tree::{Kind, Tree};
use uuid::Uuid;

/// Why a command cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// A label that its command line has no place for.
    #[error(
        "its command line has no {{label}}, so the label '{label}' would be lost; add it, or remove the label"
    )]
    Label {
        /// The label.
        label: String,
    },
    /// An option that its command line has no place for.
    #[error(
        "its command line has no {{option:{name}}}, so the option would be lost; add it, or remove the option"
    )]
    Option {
        /// The option's name.
        name: String,
    },
    /// A value with a character that ends an argument.
    #[error("the argument '{argument}' cannot hold a NUL")]
    Nul {
        /// The argument.
        argument: String,
    },
    /// A node that a tar archive cannot hold.
    #[error(
        "{path}: a command reads its content as a tar archive, which has no sockets; \
         exclude it, or leave all special files out with drop = [\"{0}\"], or --drop {0}",
        Loss::SpecialFiles.name()
    )]
    Socket {
        /// The node's path.
        path: String,
    },
}

/// How to start the command for `request` with `tree`.
pub(crate) fn invocation(
    line: &CommandLine,
    request: &Request,
    tree: &Tree,
) -> Result<Invocation, StartError> {
    let has = |wanted: &Placeholder| line.placeholders().any(|placeholder| placeholder == wanted);
    if !request.label.is_empty() && !has(&Placeholder::Label) {
        return Err(StartError::Label {
            label: request.label.clone(),
        });
    }
    for setting in &request.settings {
        if !has(&Placeholder::Option(setting.name.clone())) {
            return Err(StartError::Option {
                name: setting.name.clone(),
            });
        }
    }
    if !request.drop.contains(Loss::SpecialFiles)
        && let Some(socket) = tree.nodes().find(|node| *node.kind == Kind::Socket)
    {
        return Err(StartError::Socket {
            path: tree.path(socket.id).escape_ascii().to_string(),
        });
    }
    let arguments = line.fill(|placeholder| value(placeholder, request));
    if let Some(argument) = arguments.iter().find(|argument| argument.contains('\0')) {
        return Err(StartError::Nul {
            argument: legible(argument),
        });
    }
    Ok(Invocation {
        arguments,
        request: request.clone(),
    })
}

fn value(placeholder: &Placeholder, request: &Request) -> String {
    match placeholder {
        Placeholder::Partition => format!("/{PARTITION}"),
        Placeholder::Label => request.label.clone(),
        Placeholder::Uuid => Uuid::from_bytes(request.uuid).to_string(),
        Placeholder::Serial => cellblock_text::hexadecimal(&request.uuid[12..]),
        Placeholder::Seed => Uuid::from_bytes(request.seed).to_string(),
        Placeholder::Size => request.size.to_string(),
        Placeholder::SectorSize => request.sector_size.to_string(),
        Placeholder::Time => request.time.seconds.to_string(),
        Placeholder::DiskOffset => request.disk_offset.to_string(),
        Placeholder::Option(name) => request
            .settings
            .iter()
            .find(|setting| setting.name == *name)
            .map(|setting| setting.value.clone())
            .unwrap_or_default(),
    }
}
