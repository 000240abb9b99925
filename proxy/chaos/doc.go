// Package chaos makes everything around a running server fail, in every way and all at once, and
// checks what became of each message.
//
// Mail programs with all kinds of habits send through the server, and some disconnect early. The
// providers, the network, the DNS, the token endpoints, the keychain, the disk, the clock and the
// configuration fail. At the end there must be one message for each 250, unchanged and not twice;
// no message that was refused may have arrived; and no connection, goroutine or file may be left.
//
// The real program is also killed at random moments and started again.
//
// SEED, MESSAGES and KILLS in the environment repeat a run and make it longer; see `make soak`. The
// seed decides every choice, but not which of two goroutines comes first.
package chaos
