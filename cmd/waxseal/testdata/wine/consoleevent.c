/* consoleevent PID EVENT: sends a process a console event as the console's host
 * does, with a thread at kernelbase's CtrlRoutine. In wine 8 there is no other way
 * from outside to Ctrl-Break (1), a closed console (2), logoff (5) and shutdown (6).
 * EVENT session tells the process's windows that the session ends, as Windows does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static BOOL CALLBACK tell(HWND window, LPARAM pid) {
    DWORD owner = 0;
    GetWindowThreadProcessId(window, &owner);
    if (owner == (DWORD)pid) SendNotifyMessageA(window, WM_ENDSESSION, TRUE, ENDSESSION_LOGOFF);
    return TRUE;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    if (!strcmp(argv[2], "session")) return !EnumWindows(tell, atoi(argv[1]));
    HANDLE process = OpenProcess(PROCESS_ALL_ACCESS, FALSE, atoi(argv[1]));
    FARPROC routine = GetProcAddress(GetModuleHandleA("kernelbase.dll"), "CtrlRoutine");
    if (!process || !routine) {
        printf("process %p, CtrlRoutine %p, error %lu\n", process, (void *)routine, GetLastError());
        return 1;
    }
    HANDLE thread = CreateRemoteThread(process, NULL, 0, (LPTHREAD_START_ROUTINE)routine, (void *)(UINT_PTR)atoi(argv[2]), 0, NULL);
    if (!thread) {
        printf("no thread, error %lu\n", GetLastError());
        return 1;
    }
    return 0;
}
