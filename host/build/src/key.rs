//! The key of a fill: all that decides the bytes of a partition, and nothing else.
//!
//! Two partitions with the same key have the same bytes. A cache is asked by it, a build farm runs what it stands for, and the
//! record has it, so that of two builds one can tell which partitions differ before looking at a byte.

use sha2::{Digest as _, Sha256};

use cellblock_cell::Guest;
use cellblock_contract::{Argument, CommandLine, Loss, Request, Setting};
use cellblock_image::Verity;
use cellblock_tree::{Timestamp, TreeDigests};

/// What every key begins with: another number where what is hashed changes its form.
const FORM: &[u8] = b"cellblock fill 1\n";

/// The key of a fill: a SHA-256 digest. See [`FillKey::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FillKey(pub [u8; 32]);

/// All that decides the bytes of a partition.
#[derive(Clone, Debug)]
pub enum FillInputs<'a> {
    /// A file system, made by a guest.
    Filesystem {
        /// The guest: its digest, and how it is called if it is a command. Of one that has the host compress, or that is a command
        /// and so gets its tree as an archive of the host's, also the program's version and those of the codec libraries.
        guest: GuestInputs<'a>,
        /// What is asked of it, as it is told. Where its disk offset matters to no bytes, it is told 0: see
        /// [`Formatter::request_offset`](crate::catalogue::Formatter::request_offset).
        request: &'a Request,
        /// The tree: metadata, content, and where its files have holes, which guests see.
        tree: &'a TreeDigests,
    },
    /// A hash tree over another partition.
    Verity {
        /// What decides it beside its data.
        verity: &'a Verity,
        /// The key of the partition with the data.
        of: FillKey,
        /// The bytes of that partition.
        data_size: u64,
        /// The bytes of the partition with the tree.
        size: u64,
    },
    /// A hash tree behind its data in the same partition.
    Behind {
        /// What decides it beside its data.
        verity: &'a Verity,
        /// The key of the data.
        of: FillKey,
        /// The bytes of the data.
        data_size: u64,
        /// The bytes of the partition.
        size: u64,
    },
    /// What is written as it is, in this order; the rest is zeros.
    Raw {
        /// The bytes of the partition.
        size: u64,
        /// What is written.
        pieces: &'a [RawInputs],
    },
}

/// A guest as far as it decides bytes.
#[derive(Clone, Debug)]
pub struct GuestInputs<'a> {
    /// The SHA-256 digest of the component or the command.
    pub digest: [u8; 32],
    /// How it is called, if it is a command.
    pub command: Option<&'a CommandLine>,
    /// Versions by name of what works on its bytes in the host.
    pub host: Vec<(&'static str, String)>,
}

/// A piece that is written as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawInputs {
    /// Where it goes, in bytes from the start of the partition.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// The SHA-256 digest of these bytes.
    pub digest: [u8; 32],
}

impl<'a> GuestInputs<'a> {
    /// What of `guest` decides bytes.
    #[must_use]
    pub fn of(guest: &'a Guest) -> Self {
        let command = guest.command_line();
        let mut host = Vec::new();
        if guest.encodes() || command.is_some() {
            host.push(("cellblock", env!("CARGO_PKG_VERSION").to_owned()));
        }
        if guest.encodes() {
            host.extend(cellblock_codec::versions());
        }
        Self {
            digest: guest.digest(),
            command,
            host,
        }
    }
}

impl FillKey {
    /// The key of what these inputs make.
    ///
    /// In it are, of a file system: the guest's digest and command line; the request with its kind, size, sector size, label,
    /// identifier, seed, time, losses and options, and the disk offset for those guests that are told it; the digests of the tree's metadata, content
    /// and holes; and for guests that the host compresses for, the versions of the program and of its codec libraries. Of a hash tree: the function,
    /// the sizes, the salt, the superblock's UUID, and the key of its data. Of what is written as it is: where, and the digests.
    ///
    /// Not in it is what changes no byte: the partition's name, number, type and UUID, the paths of sources, the number of
    /// threads, the walls, and the limits, since a guest that meets one makes no partition.
    ///
    /// The key is the SHA-256 digest of `cellblock fill 1\n`, of a letter for the kind (`f`, `v`, `b` for a tree behind its data, `r`), and of the
    /// fields in the order of the types here, nested ones in their place: integers in little endian, byte strings and lists
    /// preceded by their length as a `u64`.
    #[must_use]
    pub fn of(inputs: &FillInputs<'_>) -> Self {
        let mut fields = Fields(Sha256::new_with_prefix(FORM));
        match inputs {
            FillInputs::Filesystem {
                guest,
                request,
                tree,
            } => {
                fields.bytes(b"f");
                fields.guest(guest);
                fields.request(request);
                let TreeDigests {
                    metadata,
                    content,
                    holes,
                } = tree;
                for digest in [metadata, content, holes] {
                    fields.bytes(digest);
                }
            }
            FillInputs::Verity {
                verity,
                of,
                data_size,
                size,
            }
            | FillInputs::Behind {
                verity,
                of,
                data_size,
                size,
            } => {
                let is_behind = matches!(inputs, FillInputs::Behind { .. });
                fields.bytes(if is_behind { b"b" } else { b"v" });
                fields.verity(verity);
                fields.bytes(&of.0);
                fields.number(*data_size);
                fields.number(*size);
            }
            FillInputs::Raw { size, pieces } => {
                fields.bytes(b"r");
                fields.number(*size);
                fields.count(pieces.len());
                for RawInputs {
                    offset,
                    length,
                    digest,
                } in *pieces
                {
                    fields.number(*offset);
                    fields.number(*length);
                    fields.bytes(digest);
                }
            }
        }
        Self(fields.0.finalize().into())
    }
}

/// Hashes fields so that no two lists of them are one run of bytes.
struct Fields(Sha256);

impl Fields {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    fn count(&mut self, count: usize) {
        self.number(u64::try_from(count).expect("a count fits 64 bits"));
    }

    fn string(&mut self, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        self.count(text.len());
        self.bytes(text);
    }

    fn guest(&mut self, guest: &GuestInputs<'_>) {
        let GuestInputs {
            digest,
            command,
            host,
        } = guest;
        self.bytes(digest);
        let arguments = command.map_or(&[][..], CommandLine::arguments);
        self.count(arguments.len());
        for argument in arguments {
            let (kind, words) = match argument {
                Argument::Word(word) => (b"w", std::slice::from_ref(word)),
                Argument::Group(words) => (b"g", &words[..]),
            };
            self.bytes(kind);
            self.count(words.len());
            words.iter().for_each(|word| self.string(word.text()));
        }
        self.count(host.len());
        for (name, version) in host {
            self.string(name);
            self.string(version);
        }
    }

    fn request(&mut self, request: &Request) {
        let Request {
            kind,
            size,
            disk_offset,
            sector_size,
            label,
            uuid,
            seed,
            time,
            drop,
            settings,
        } = request;
        let Timestamp {
            seconds,
            nanoseconds,
        } = time;
        self.string(kind);
        self.number(*size);
        self.number(*disk_offset);
        self.number((*sector_size).into());
        self.string(label);
        self.bytes(uuid);
        self.bytes(seed);
        self.bytes(&seconds.to_le_bytes());
        self.number((*nanoseconds).into());
        let dropped = Loss::ALL.iter().filter(|loss| drop.contains(**loss));
        let dropped: Vec<&Loss> = dropped.collect();
        self.count(dropped.len());
        dropped.iter().for_each(|loss| self.string(loss.name()));
        self.count(settings.len());
        for Setting { name, value } in settings {
            self.string(name);
            self.string(value);
        }
    }

    fn verity(&mut self, verity: &Verity) {
        let Verity {
            hash,
            data_block,
            hash_block,
            salt,
            superblock,
            fec_roots,
        } = verity;
        self.string(hash.name());
        self.number((*data_block).into());
        self.number((*hash_block).into());
        self.string(salt);
        match superblock {
            Some(uuid) => self.string(uuid),
            None => self.count(0),
        }
        self.number(fec_roots.map_or(0, u64::from));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellblock_contract::Losses;
    use cellblock_image::HashFunction;
    use cellblock_text::hexadecimal;

    fn request() -> Request {
        Request {
            kind: "ext4".to_owned(),
            size: 1 << 20,
            disk_offset: 0,
            sector_size: 512,
            label: "ab".to_owned(),
            uuid: [1; 16],
            seed: [2; 16],
            time: Timestamp {
                seconds: 3,
                nanoseconds: 4,
            },
            drop: Losses::none(),
            settings: vec![Setting {
                name: "c".to_owned(),
                value: "d".to_owned(),
            }],
        }
    }

    fn key(
        request: &Request,
        command: Option<&CommandLine>,
        host: &[(&'static str, &str)],
    ) -> FillKey {
        let host = host.iter();
        FillKey::of(&FillInputs::Filesystem {
            guest: GuestInputs {
                digest: [5; 32],
                command,
                host: host.map(|(name, of)| (*name, (*of).to_owned())).collect(),
            },
            request,
            tree: &TreeDigests {
                metadata: [6; 32],
                content: [7; 32],
                holes: [8; 32],
            },
        })
    }

    fn all_differ(keys: &[FillKey]) {
        let distinct: std::collections::BTreeSet<&FillKey> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len(), "two keys are one");
    }

    #[test]
    fn every_part_of_a_request_is_in_the_key() {
        let changes: [fn(&mut Request); 15] = [
            |_| {},
            |request| request.kind = "ext3".to_owned(),
            |request| request.size += 512,
            |request| request.disk_offset = 1 << 20,
            |request| request.sector_size = 4096,
            |request| request.label = "abc".to_owned(),
            |request| request.uuid[15] = 0,
            |request| request.seed[0] = 0,
            |request| request.time.seconds = -3,
            |request| request.time.nanoseconds = 5,
            |request| request.drop = [Loss::Owners].into_iter().collect(),
            |request| request.drop = [Loss::Owners, Loss::Symlinks].into_iter().collect(),
            |request| request.settings.clear(),
            |request| request.settings[0].value = String::new(),
            // The same letters, cut elsewhere.
            |request| {
                request.settings[0].name = "cd".to_owned();
                request.settings[0].value = String::new();
            },
        ];
        let mut keys: Vec<FillKey> = changes
            .iter()
            .map(|change| {
                let mut request = request();
                change(&mut request);
                key(&request, None, &[])
            })
            .collect();
        let words = |text| CommandLine::parse(text).expect("a command line");
        for line in ["mkfs ab", "mkfs a b", "mkfs [a b]", "mkfs [a] b"] {
            keys.push(key(&request(), Some(&words(line)), &[]));
        }
        keys.push(key(&request(), None, &[("libzstd", "1")]));
        keys.push(key(&request(), None, &[("libzstd", "2")]));
        all_differ(&keys);
    }

    #[test]
    fn every_part_of_a_tree_and_of_raw_pieces_is_in_the_key() {
        let verity = Verity {
            hash: HashFunction::Sha256,
            data_block: 4096,
            hash_block: 4096,
            salt: vec![1],
            superblock: Some([2; 16]),
            fec_roots: None,
        };
        let tree = |change: fn(&mut Verity), of: u8, data_size, size| {
            let mut verity = verity.clone();
            change(&mut verity);
            FillKey::of(&FillInputs::Verity {
                verity: &verity,
                of: FillKey([of; 32]),
                data_size,
                size,
            })
        };
        let raw = |size, offset, length, digest| {
            let pieces = [RawInputs {
                offset,
                length,
                digest: [digest; 32],
            }];
            FillKey::of(&FillInputs::Raw {
                size,
                pieces: &pieces,
            })
        };
        all_differ(&[
            tree(|_| {}, 0, 8192, 8192),
            tree(|it| it.hash = HashFunction::Sha512, 0, 8192, 8192),
            tree(|it| it.data_block = 512, 0, 8192, 8192),
            tree(|it| it.hash_block = 512, 0, 8192, 8192),
            tree(|it| it.salt = Vec::new(), 0, 8192, 8192),
            tree(|it| it.superblock = None, 0, 8192, 8192),
            tree(|it| it.fec_roots = Some(2), 0, 8192, 8192),
            tree(|_| {}, 1, 8192, 8192),
            tree(|_| {}, 0, 4096, 8192),
            tree(|_| {}, 0, 8192, 4096),
            FillKey::of(&FillInputs::Behind {
                verity: &verity,
                of: FillKey([0; 32]),
                data_size: 8192,
                size: 8192,
            }),
            raw(512, 0, 1, 0),
            raw(1024, 0, 1, 0),
            raw(512, 1, 1, 0),
            raw(512, 0, 2, 0),
            raw(512, 0, 1, 1),
            FillKey::of(&FillInputs::Raw {
                size: 512,
                pieces: &[],
            }),
        ]);
    }

    /// Caches hold what is named by it: whatever changes it changes [`FORM`] too. The digest is that of Python over the same fields.
    #[test]
    fn the_form_of_a_key_is_pinned() {
        let found = hexadecimal(&key(&request(), None, &[("cellblock", "0.1.0")]).0);
        assert_eq!(
            found,
            "7daa389298dc4e1a04e314f820ea2c7c6c0e1337f99cc38dcc14da3cc184dbae"
        );
    }
}
