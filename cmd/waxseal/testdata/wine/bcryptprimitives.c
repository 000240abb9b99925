/*
 * bcryptprimitives.dll for tests under wine 8, which does not have it.
 *
 * A Go program takes its random numbers from ProcessPrng in this library, and
 * dies at its start if the library is missing. Every Windows since 10 has it,
 * and so does wine since version 8.9, which prefers its own to this one.
 *
 * advapi32 exports RtlGenRandom, the system's random numbers, under the name
 * SystemFunction036.
 *
 *   x86_64-w64-mingw32-gcc -shared -o bcryptprimitives.dll bcryptprimitives.c -ladvapi32
 */
#include <stddef.h>

__declspec(dllimport) unsigned char __stdcall SystemFunction036(void *bytes, unsigned long count);

__declspec(dllexport) int __stdcall ProcessPrng(unsigned char *bytes, size_t count)
{
	while (count > 0) {
		unsigned long part = count > 1 << 20 ? 1 << 20 : (unsigned long)count;

		if (!SystemFunction036(bytes, part))
			return 0;
		bytes += part;
		count -= part;
	}
	return 1;
}
