//! How a command ends.

/// Declares the exit codes once; `docs/command-line.md` shows the same table, and a test compares.
macro_rules! exits {
    ($($(#[$meta:meta])* $name:ident $code:literal $meaning:literal,)*) => {
        /// The exit code of a command. Scripts rely on the numbers: they never change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Exit {
            $(#[doc = $meaning] $name = $code,)*
        }

        impl Exit {
            /// All of them, with what they mean.
            pub const TABLE: &'static [(Exit, &'static str)] = &[$((Exit::$name, $meaning),)*];
        }
    };
}

exits! {
    Ok 0 "It worked.",
    Failed 1 "The cluster or this machine refused the operation, or it failed half-way; stderr says which part.",
    Usage 2 "The command line itself is wrong; nothing was tried.",
    Unreachable 3 "No node of the cluster could be reached.",
    TimedOut 4 "The cluster did not answer in the time that `--timeout` gives.",
    NotFound 5 "The topic, partition, group, transaction, broker, setting or file does not exist.",
    AlreadyExists 6 "What should be created exists already.",
    Denied 7 "The cluster does not allow this to this user.",
    TooOld 8 "A broker is too old for it; stderr says which release of Kafka it needs.",
    Damaged 9 "A file is damaged; stderr says which and where.",
    Unwell 10 "`ottla doctor` found a problem; its report says which, and what to change.",
    Interrupted 130 "Ctrl-C or SIGTERM ended it; what was read before is sent or reported.",
}

impl Exit {
    /// The number that the process ends with.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        std::process::ExitCode::from(exit.code())
    }
}
