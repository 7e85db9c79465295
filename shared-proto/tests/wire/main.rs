//! The protocol from outside: what its bytes are, what it refuses, and that nothing makes it panic.

mod bounds;
mod damage;
mod frames;
mod golden;
mod numbers;
mod order;
mod plan;
mod random;
mod refusals;
mod sample;
