//! Containers as their users see them: the program under test is run, and the host and the container are looked at.
//! One binary for all features, one module each, so that linking happens once.

mod lifecycle;
