use super::*;
use cellblock_contract::{Losses, NodeError, Setting, SettingError};

fn conflict(other: &str) -> String {
    refused(SettingProblem::Conflict(other.to_owned()))
}

pub(super) fn request(kind: &str) -> Request {
    Request {
        kind: kind.to_owned(),
        size: 0,
        disk_offset: 0,
        sector_size: 512,
        label: String::new(),
        uuid: [0; 16],
        seed: [0; 16],
        time: Default::default(),
        drop: Losses::none(),
        settings: vec![Setting {
            name: "inodes".to_owned(),
            value: "100".to_owned(),
        }],
    }
}

fn refused(problem: SettingProblem) -> String {
    let request = request("mine");
    let error = FormatError::Setting(SettingError {
        name: "inodes".to_owned(),
        problem,
    });
    let option = |name: &str, value: &str| OptionDescription {
        name: name.to_owned(),
        value: value.to_owned(),
        default: String::new(),
        documentation: "How many there are.".to_owned(),
    };
    let options = vec![option("Inode ratio", "1|2"), option("inodes", "COUNT")];
    Refusal::new(error, &request, &crate::fuzzing::tree(), &options).to_string()
}

/// 0.1 has one string for both, and names may be spelled in any way: the description tells which are names.
#[test]
fn what_an_option_conflicts_with_is_an_option_if_the_formatter_has_one_of_that_name() {
    assert_eq!(
        conflict("Inode ratio"),
        "the option inodes = '100' does not go with the option Inode ratio"
    );
    assert_eq!(
        conflict("unaligned"),
        "the option inodes cannot be '100': unaligned"
    );
}

#[test]
fn a_time_that_cannot_be_counted_is_told_with_those_that_can_and_what_helps() {
    let tree = crate::fuzzing::tree();
    let refusal = |request: &Request| {
        let error = FormatError::Node(NodeError {
            node: 0,
            problem: NodeProblem::Time,
        });
        Refusal::new(error, request, &tree, &[])
    };
    let said = |kind: &str| refusal(&request(kind)).to_string();
    let of_stamp = refusal(&Request {
        time: tree.node(NodeId::ROOT).modified,
        ..request("squashfs")
    });
    assert!(of_stamp.is_of_the_stamp());
    let said_of_stamp = of_stamp.to_string();
    assert!(
        said_of_stamp.starts_with("the time that the file system is stamped with, ")
            && said_of_stamp.contains(
                "is outside what squashfs can count, 1970-01-01 to 2106-02-07; give another time"
            ),
        "{said_of_stamp}"
    );
    let late = said("squashfs");
    assert!(
        late.contains("1970-01-01 to 2106-02-07; give time, --time or SOURCE_DATE_EPOCH"),
        "{late}"
    );
    assert!(
        said("mine").contains("can count; give time"),
        "{}",
        said("mine")
    );
}

#[test]
fn a_formatter_that_somebody_brought_is_told_from_the_program_and_blamed_for_what_contradicts_itself()
 {
    let (request, tree) = (request("mine"), crate::fuzzing::tree());
    let said = |error: FormatError, smallest: Option<u64>| {
        let refusal = Refusal::new(error, &request, &tree, &[]).of_size(smallest);
        let foreign = refusal.clone().said_by(Some("x".to_owned()));
        let (own, foreign) = (refusal.to_string(), foreign.to_string());
        assert_eq!(
            foreign.replace("it asked", "the formatter asked"),
            format!("the formatter 'x' says: {own}")
        );
        (own, refusal.shortage())
    };
    let short = |needed, available| FormatError::TooSmall(Shortage { needed, available });
    assert_eq!(
        said(short(20_000, 8192), Some(10_000)),
        (
            "too small: mine with this content needs 20 000 bytes, but the partition has 8192 (11 808 short); \
             make it larger, or give it the size \"minimum\""
                .to_owned(),
            Some((20_000, 8192))
        )
    );
    assert_eq!(
        said(short(20_000, 12_288), Some(10_000)),
        (
            "too small: mine with this content needs 20 000 bytes, but the partition has 12 288, \
             although the formatter measured 10 000 bytes itself: that is a fault of the formatter"
                .to_owned(),
            None
        )
    );
    assert_eq!(
        said(short(8192, 8192), None),
        (
            "too small: mine with this content needs 8192 bytes, but the partition has 8192, \
             which is enough: that is a fault of the formatter"
                .to_owned(),
            None
        )
    );
    let (content, _) = said(FormatError::Tree(ReadError::Source), None);
    assert_eq!(
        content,
        "content could not be read, although all that was asked for was"
    );
    said(FormatError::Placement(PlaceError::Overlap(0)), None);
}

#[test]
fn an_option_that_cannot_be_is_told_with_those_that_can() {
    assert_eq!(
        refused(SettingProblem::Unknown),
        "mine has no option 'inodes'; it has Inode ratio, inodes"
    );
    assert_eq!(
        refused(SettingProblem::Malformed),
        "the option inodes cannot be '100': write COUNT; How many there are."
    );
}
