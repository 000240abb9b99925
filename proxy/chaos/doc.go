// Package chaos lets everything fail around a running server, in every way and all
// at once, and looks at what became of each message.
//
// Mail programs of all habits send through it, and some break off; their providers,
// the way there, the DNS, the token endpoints, the keychain, the disk, the clock and the
// configuration fail. In the end each 250 stands for one message that arrived
// once and unchanged, nothing arrived that was refused, and nothing is left over.
//
// The real program, too, is killed at random moments and started again.
//
// SEED, MESSAGES and KILLS in the environment repeat a run and make it longer; see `make
// soak`. The seed decides every choice. What it does not decide is which of two
// goroutines comes first.
package chaos
