//! A build as a graph of steps: each begins when what it needs is there, and layout comes before content as far as it can.
//!
//! ```text
//!     read, measure (of each partition of "minimum" size) ──> layout ──┐
//!     read ────────────────────────────────────────────────────────────┴──> make, in the order of derived values
//!     read ──> fill, at a place that no measurement moves ──────────────────^
//! ```
//!
//! Where nothing is measured, the layout comes first. Otherwise it waits for what is measured and for nothing else, and a file system
//! whose place and size the spec alone tells does not wait for it. What comes out depends on none of that, nor does which error is
//! told if there are several: see [`steps::run`].

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use cellblock_table::SectorSize;
use cellblock_text::{exact, grouped};

use crate::BuildOptions;
use crate::error::Error;
use crate::filesystem::{Filled, Measurements, Preparation, Prepared, Slot, partition_error};
use crate::making::{Made, Making, Needs, Ready};
use crate::plan::{Draft, FilesystemPlan, Fill, Plan};
use crate::steps;
use crate::template::{Awaited, TemplateError};

/// A plan, and where its file systems are made.
pub(crate) struct Laid {
    pub(crate) plan: Plan,
    pub(crate) places: BTreeMap<usize, Slot>,
}

impl Laid {
    /// Decides everything. A table that cannot be is refused here, before more is made.
    pub(crate) fn out(
        draft: Draft<'_>,
        sizes: BTreeMap<usize, u64>,
        options: &BuildOptions,
    ) -> Result<Self, Error> {
        let host = draft.host();
        let plan = draft.measured(sizes).plan(options.time)?;
        for partition in &plan.partitions {
            options.progress.say(&format!(
                "{}: {} from byte {} on",
                partition.name,
                exact(partition.size),
                grouped(partition.start)
            ));
        }
        plan.table()?.encode()?;
        let partitions = plan.partitions.iter().enumerate();
        let filesystems =
            partitions.filter(|(_, partition)| matches!(partition.fill, Fill::Filesystem(_)));
        let places = filesystems.map(|(index, partition)| {
            let is_host = host == Some(index);
            let range = partition.start..partition.start + partition.data_size();
            let place = Slot::on_disk(range, is_host, plan.sector_size, plan.time);
            (index, place)
        });
        let places = places.collect();
        Ok(Self { plan, places })
    }
}

/// What a build needs to grow from its draft to its partitions.
pub(crate) struct Graph<'a> {
    pub(crate) preparation: &'a Preparation<'a>,
    pub(crate) names: &'a [String],
    /// The derived values that each file system waits for, by the index of its partition.
    pub(crate) awaited: &'a BTreeMap<usize, Awaited>,
    pub(crate) needs: &'a Needs,
}

/// What has come of a draft.
pub(crate) struct Grown {
    pub(crate) plan: Plan,
    pub(crate) places: BTreeMap<usize, Slot>,
    /// In the order of the plan.
    pub(crate) made: Vec<Made>,
}

/// A step. The index of a partition is that in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Decides the place of everything.
    Layout,
    /// Reads the content of a file system, and measures it if the layout needs that.
    Read(usize),
    /// Makes a file system that the layout cannot move.
    Fill(usize),
    /// Makes a partition, but for a file system that is there.
    Make(usize),
}

/// What a step has come to.
enum Done {
    Laid(Laid),
    Read(Box<Prepared>),
    Filled(Box<Mutex<Option<Filled>>>),
    Made(Box<Made>),
}

/// The steps of a build, with what each needs.
struct Steps {
    all: Vec<Step>,
    needs: Vec<BTreeSet<usize>>,
}

impl Steps {
    /// Those of `partitions`, of which each needs others to be made: the file systems among them are read, some of these `measured`,
    /// and some `settled`, whose place no measurement moves.
    fn of(
        partitions: &[BTreeSet<usize>],
        filesystems: &BTreeSet<usize>,
        measured: &[usize],
        settled: &BTreeSet<usize>,
    ) -> Self {
        let is_early = |index: &&usize| {
            settled.contains(index) && partitions[**index].is_empty() && !measured.is_empty()
        };
        let all: Vec<Step> = [Step::Layout]
            .into_iter()
            .chain(filesystems.iter().copied().map(Step::Read))
            .chain(filesystems.iter().filter(is_early).copied().map(Step::Fill))
            .chain((0..partitions.len()).map(Step::Make))
            .collect();
        let mut steps = Self {
            needs: Vec::new(),
            all,
        };
        let find = |wanted| steps.find(wanted);
        let needs = steps.all.iter().map(|step| match *step {
            Step::Layout => measured
                .iter()
                .filter_map(|index| find(Step::Read(*index)))
                .collect(),
            Step::Read(_) => BTreeSet::new(),
            Step::Fill(index) => find(Step::Read(index)).into_iter().collect(),
            Step::Make(index) => {
                let others = partitions[index].iter().copied().map(Step::Make);
                let own = [Step::Layout, Step::Read(index), Step::Fill(index)];
                own.into_iter().chain(others).filter_map(find).collect()
            }
        });
        steps.needs = needs.collect();
        steps
    }

    fn find(&self, wanted: Step) -> Option<usize> {
        self.all.iter().position(|step| *step == wanted)
    }
}

impl Graph<'_> {
    /// Reads, lays out and makes everything.
    pub(crate) fn grow(&self, draft: Draft<'_>) -> Result<Grown, Error> {
        let wanted = draft.measurements_wanted();
        let settled = draft.settled();
        let filesystems = draft.filesystems().clone();
        let steps = Steps::of(
            &self.needs.partitions,
            &filesystems.keys().copied().collect(),
            &wanted,
            &settled.keys().copied().collect(),
        );
        let growing = Growing {
            graph: self,
            measured: Measurements {
                partitions: &wanted,
                sector_size: draft.sector_size(),
                time: draft.time(self.preparation.options.time),
            },
            host: draft.host(),
            filesystems,
            settled,
            draft: Mutex::new(Some(draft)),
            steps: &steps,
        };
        let jobs = self.preparation.options.jobs;
        let done = steps::run(jobs, &steps.needs, |index, done| {
            growing.step(steps.all[index], done)
        })?;
        let (mut laid, mut made) = (None, Vec::new());
        for done in done {
            match done {
                Done::Laid(it) => laid = Some(it),
                Done::Made(it) => made.push(*it),
                Done::Read(_) | Done::Filled(_) => {}
            }
        }
        let Laid { plan, places } = laid.expect("the layout is a step of every build");
        Ok(Grown { plan, places, made })
    }
}

/// What the steps share.
struct Growing<'a, 's> {
    graph: &'a Graph<'a>,
    measured: Measurements<'a>,
    /// The partition that is made where it belongs.
    host: Option<usize>,
    filesystems: BTreeMap<usize, FilesystemPlan>,
    /// The places that no measurement moves, in bytes of the disk.
    settled: BTreeMap<usize, Range<u64>>,
    /// Until it is laid out.
    draft: Mutex<Option<Draft<'s>>>,
    steps: &'a Steps,
}

impl Growing<'_, '_> {
    fn step(&self, step: Step, done: &steps::Made<Done>) -> Result<Done, Error> {
        match step {
            Step::Layout => self.layout(done).map(Done::Laid),
            Step::Read(index) => Ok(Done::Read(Box::new(self.read(index)?))),
            Step::Fill(index) => {
                let prepared = self.prepared(index, done);
                let place = self.settled_place(index, self.measured.sector_size);
                let filled = self.graph.preparation.fill(prepared, &place)?;
                Ok(Done::Filled(Box::new(Mutex::new(Some(filled)))))
            }
            Step::Make(index) => Ok(Done::Made(Box::new(self.make(index, done)?))),
        }
    }

    fn read(&self, index: usize) -> Result<Prepared, Error> {
        let Graph {
            preparation,
            names,
            awaited,
            ..
        } = self.graph;
        let (name, filesystem) = (&names[index], &self.filesystems[&index]);
        let prepared = preparation.prepare_measured(index, filesystem, name, &self.measured)?;
        if prepared.awaited != awaited[&index] {
            return Err(partition_error(name, TemplateError::Changed));
        }
        Ok(prepared)
    }

    fn layout(&self, done: &steps::Made<Done>) -> Result<Laid, Error> {
        let measured = self.measured.partitions.iter();
        let sizes =
            measured.filter_map(|index| Some((*index, self.prepared(*index, done).smallest?)));
        let draft = self
            .draft
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let draft = draft.expect("the layout is made once");
        Laid::out(draft, sizes.collect(), self.graph.preparation.options)
    }

    fn make(&self, index: usize, done: &steps::Made<Done>) -> Result<Made, Error> {
        let Some(Done::Laid(laid)) = self.of(Step::Layout, done) else {
            unreachable!("every partition is made after the layout")
        };
        let making = Making {
            preparation: self.graph.preparation,
            plan: &laid.plan,
            places: &laid.places,
            needs: self.graph.needs,
        };
        let ready = match self.of(Step::Fill(index), done) {
            Some(Done::Filled(filled)) => {
                let place = &laid.places[&index];
                let settled = self.settled_place(index, laid.plan.sector_size);
                assert_eq!(*place, settled, "the layout moves nothing that is settled");
                Some(Ready::Filled(filled))
            }
            _ => self
                .filesystems
                .contains_key(&index)
                .then(|| Ready::Prepared(self.prepared(index, done))),
        };
        making.one(
            index,
            ready,
            &|needed| match self.of(Step::Make(needed), done) {
                Some(Done::Made(made)) => made,
                _ => unreachable!("what is needed is made first"),
            },
        )
    }

    /// What a step has come to, if there is such a step.
    fn of<'d>(&self, step: Step, done: &'d steps::Made<Done>) -> Option<&'d Done> {
        self.steps.find(step).map(|index| done.get(index))
    }

    fn prepared<'d>(&self, index: usize, done: &'d steps::Made<Done>) -> &'d Prepared {
        match self.of(Step::Read(index), done) {
            Some(Done::Read(prepared)) => prepared,
            _ => unreachable!("the content of every file system is read"),
        }
    }

    /// Where a file system goes that is settled.
    fn settled_place(&self, index: usize, sector_size: SectorSize) -> Slot {
        let range = self.settled[&index].clone();
        Slot::on_disk(
            range,
            self.host == Some(index),
            sector_size,
            self.measured.time,
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::{Arc, Condvar};
    use std::time::Duration;

    use super::*;
    use crate::progress::{Done as Counted, Ongoing, Phase, Progress};
    use crate::{Catalog, build_image};
    use cellblock_cell::{Runtime, RuntimeOptions, Walls};
    use cellblock_spec::Spec;

    /// A phase of a partition.
    type Begins = (Phase, &'static str);

    /// Keeps what begins. What is gated begins only once something else has: it waits so long, and no longer than a minute.
    #[derive(Debug, Default)]
    struct Gate {
        gated: Option<(Begins, Begins)>,
        begun: Mutex<Vec<String>>,
        changed: Condvar,
    }

    fn word(phase: Phase, name: &str) -> String {
        format!("{} {name}", phase.word())
    }

    impl Progress for Gate {
        fn begin(&self, phase: Phase, name: &str, _: Option<u64>, _: Counted) -> Ongoing {
            let mut begun = self.begun.lock().unwrap();
            if let Some((gated, until)) = self.gated
                && gated == (phase, name)
            {
                let until = word(until.0, until.1);
                let waited =
                    self.changed
                        .wait_timeout_while(begun, Duration::from_secs(60), |begun| {
                            !begun.contains(&until)
                        });
                begun = waited.unwrap().0;
            }
            begun.push(word(phase, name));
            self.changed.notify_all();
            Ongoing::default()
        }

        fn say(&self, text: &str) {
            if text.contains(" from byte ") {
                self.begun.lock().unwrap().push("layout".to_owned());
            }
        }
    }

    /// What begins, in order, in a build of an ESP and a root of this size.
    fn built(root_size: &str, jobs: usize, gate: Gate) -> Vec<String> {
        let text = format!(
            r#"
            [[partition]]
            name = "esp"
            type = "esp"
            size = "2MiB"
            filesystem = "vfat"
            content = [{{ text = "e", to = "/e" }}]
            [[partition]]
            name = "root"
            type = "root-x86-64"
            size = "{root_size}"
            filesystem = "ext4"
            content = [{{ text = "r", to = "/r" }}]
            "#
        );
        let folder = tempfile::tempdir().unwrap();
        let spec = Spec::parse(&text, folder.path()).unwrap();
        let runtime = Runtime::new(&RuntimeOptions {
            walls: Walls::Wasm,
            ..RuntimeOptions::default()
        });
        let gate = Arc::new(gate);
        let options = BuildOptions {
            jobs,
            progress: Arc::clone(&gate) as _,
            ..BuildOptions::default()
        };
        let image = folder.path().join("disk.img");
        let catalog = Catalog::default();
        build_image(&spec, &image, &runtime.unwrap(), &catalog, &options).unwrap();
        let begun = gate.begun.lock().unwrap();
        begun.clone()
    }

    fn before(begun: &[String], first: &str, second: &str) {
        let at = |word: &str| begun.iter().position(|it| it == word).unwrap();
        assert!(at(first) < at(second), "{first} after {second}: {begun:?}");
    }

    #[test]
    fn what_no_measurement_moves_is_made_while_others_are_read() {
        let gated = ((Phase::Reading, "root"), (Phase::Writing, "esp"));
        let gate = Gate {
            gated: Some(gated),
            ..Gate::default()
        };
        let begun = built("minimum", 2, gate);
        before(&begun, "writing esp", "reading root");
        before(&begun, "writing esp", "layout");
        before(&begun, "measuring root", "layout");
    }

    #[test]
    fn layout_comes_before_content_where_nothing_is_measured() {
        let begun = built("8MiB", 1, Gate::default());
        before(&begun, "layout", "reading esp");
        before(&begun, "layout", "reading root");
    }

    #[test]
    fn the_layout_waits_for_what_is_measured_alone() {
        // 0 and 1 have a given size, 2 is measured, 3 is the tree of 2, 4 awaits what 3 tells.
        let needs: [&[usize]; 5] = [&[], &[], &[], &[2], &[3]];
        let needs = needs.map(|of| of.iter().copied().collect());
        let steps = Steps::of(&needs, &[0, 1, 2, 4].into(), &[2], &[0, 4].into());
        let needed = |step| {
            let needs = &steps.needs[steps.find(step).unwrap()];
            needs.iter().map(|at| steps.all[*at]).collect::<Vec<_>>()
        };
        assert_eq!(needed(Step::Layout), [Step::Read(2)]);
        assert_eq!(needed(Step::Fill(0)), [Step::Read(0)]);
        assert_eq!(steps.find(Step::Fill(1)), None, "it is not settled");
        assert_eq!(steps.find(Step::Fill(4)), None, "it awaits a value");
        let of = [Step::Layout, Step::Read(0), Step::Fill(0)];
        assert_eq!(needed(Step::Make(0)), of);
        assert_eq!(needed(Step::Make(1)), [Step::Layout, Step::Read(1)]);
        assert_eq!(needed(Step::Make(3)), [Step::Layout, Step::Make(2)]);
        let of = [Step::Layout, Step::Read(4), Step::Make(3)];
        assert_eq!(needed(Step::Make(4)), of);
    }
}
