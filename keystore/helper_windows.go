package keystore

// Windows needs no helper process.
func nameProcess() {}

// NoCoreDump does nothing: Windows only writes a dump of a program if somebody has set that
// up (WER LocalDumps).
func NoCoreDump() {}
