//! Behaviours of whole swarms under virtual time, one a file.

mod completes;
