; The Windows installer, for one user and without an administrator; .ci/windows makes it.
;   /S               without questions: no start at login, or as it was before an update
;   /AUTOSTART       start at login
; and of uninstall.exe:
;   /S               without questions: accounts and passwords stay
;   /REMOVE_ACCOUNTS accounts and passwords go too
Unicode true
Target amd64-unicode
RequestExecutionLevel user
SetCompressor ${COMPRESSOR}
ManifestDPIAware true
ManifestSupportedOS Win10

!include MUI2.nsh
!include FileFunc.nsh
!include LogicLib.nsh

!define EXE "$INSTDIR\Waxseal.exe"
!define LINK "$SMPROGRAMS\Waxseal.lnk"
!define RUN "Software\Microsoft\Windows\CurrentVersion\Run" ; as in autostart_windows.go
!define APPS "Software\Microsoft\Windows\CurrentVersion\Uninstall\Waxseal"

Name "Waxseal"
OutFile "${OUT}"
InstallDir "$LOCALAPPDATA\Programs\Waxseal"
InstallDirRegKey HKCU "${APPS}" "InstallLocation"
BrandingText "Waxseal ${VERSION}"

VIProductVersion "${NUMBER}"
VIAddVersionKey /LANG=0 "ProductName" "Waxseal"
VIAddVersionKey /LANG=0 "ProductVersion" "${VERSION}"
VIAddVersionKey /LANG=0 "FileVersion" "${VERSION}"
VIAddVersionKey /LANG=0 "FileDescription" "Waxseal Setup"
VIAddVersionKey /LANG=0 "CompanyName" "The Waxseal authors"
VIAddVersionKey /LANG=0 "LegalCopyright" "${COPYRIGHT}"

!define MUI_ICON "${ICON}"
!define MUI_UNICON "${ICON}"
!define MUI_COMPONENTSPAGE_NODESC
!define MUI_FINISHPAGE_RUN "${EXE}"
!insertmacro MUI_PAGE_COMPONENTS
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "English"
!insertmacro MUI_LANGUAGE "German"

LangString Autostart ${LANG_ENGLISH} "Start Waxseal when I log in"
LangString Autostart ${LANG_GERMAN} "Waxseal bei der Anmeldung starten"
LangString Comment ${LANG_ENGLISH} "Send and read mail through providers that require OAuth"
LangString Comment ${LANG_GERMAN} "E-Mails über Anbieter senden und lesen, die OAuth verlangen"
LangString Quitting ${LANG_ENGLISH} "Waxseal is finishing the messages in progress…"
LangString Quitting ${LANG_GERMAN} "Waxseal bringt begonnene Nachrichten zu Ende…"
LangString InUse ${LANG_ENGLISH} "Waxseal is still running. Quit it from its icon's menu, and close the command prompts in which one of its commands is running. Then try again."
LangString InUse ${LANG_GERMAN} "Waxseal läuft noch. Beenden Sie es im Menü seines Symbols, und schließen Sie die Eingabeaufforderungen, in denen einer seiner Befehle läuft. Versuchen Sie es dann noch einmal."
LangString AskErase ${LANG_ENGLISH} "Do you also want to remove your accounts and passwords?$\r$\n$\r$\nYes: Waxseal gives its access back to your providers, as far as they offer that, and deletes accounts, passwords, settings and the log.$\r$\n$\r$\nNo: they stay, and are there again if you install Waxseal later."
LangString AskErase ${LANG_GERMAN} "Möchten Sie auch Ihre Konten und Passwörter entfernen?$\r$\n$\r$\nJa: Waxseal gibt seinen Zugriff an Ihre Anbieter zurück, soweit diese das anbieten, und löscht Konten, Passwörter, Einstellungen und das Protokoll.$\r$\n$\r$\nNein: Sie bleiben erhalten und sind wieder da, wenn Sie Waxseal später installieren."
LangString EraseFailed ${LANG_ENGLISH} "Not all accounts and passwords could be removed. What is left is in the Credential Manager of Windows, under names that begin with waxseal:."
LangString EraseFailed ${LANG_GERMAN} "Nicht alle Konten und Passwörter konnten entfernt werden. Was übrig ist, steht in der Anmeldeinformationsverwaltung von Windows unter Namen, die mit waxseal: beginnen."

Var ran   ; 1 if an instance ran
Var erase ; 1 if accounts and passwords go too

; QUIT has a running instance, whatever folder it is from, finish its messages and end.
!macro QUIT PROGRAM
	StrCpy $ran 0
	ClearErrors
	ExecWait '"${PROGRAM}" status' $0
	${IfNot} ${Errors}
	${AndIf} $0 = 0
		StrCpy $ran 1
		DetailPrint "$(Quitting)"
		ExecWait '"${PROGRAM}" quit' $0
	${EndIf}
!macroend

; FREE deletes a program file, which Windows refuses while one of its processes runs.
!macro FREE FILE GIVEUP
	StrCpy $1 0
	${Do}
		ClearErrors
		Delete "${FILE}"
		${IfNot} ${Errors}
			${Break}
		${EndIf}
		Sleep 200
		IntOp $1 $1 + 1
		${If} $1 >= 50
			StrCpy $1 0
			MessageBox MB_RETRYCANCEL|MB_ICONEXCLAMATION "$(InUse)" /SD IDCANCEL IDRETRY +2
			Goto ${GIVEUP}
		${EndIf}
	${Loop}
!macroend

Section "Waxseal"
	SectionIn RO
	SetOutPath "$INSTDIR"
	; The new program asks the old one to quit: that works whatever version runs.
	File "/oname=Waxseal.new.exe" "${STAGE}/Waxseal.exe"
	!insertmacro QUIT "$INSTDIR\Waxseal.new.exe"
	!insertmacro FREE "${EXE}" busy
	Rename "$INSTDIR\Waxseal.new.exe" "${EXE}"
	File "${STAGE}/*.txt"
	CreateShortcut "${LINK}" "${EXE}" "" "" "" "" "" "$(Comment)"
	DeleteRegValue HKCU "${RUN}" "Waxseal" ; the next section writes it

	WriteUninstaller "$INSTDIR\uninstall.exe"
	WriteRegStr HKCU "${APPS}" "DisplayName" "Waxseal"
	WriteRegStr HKCU "${APPS}" "DisplayVersion" "${VERSION}"
	WriteRegStr HKCU "${APPS}" "DisplayIcon" "${EXE},0"
	WriteRegStr HKCU "${APPS}" "Publisher" "The Waxseal authors"
	WriteRegStr HKCU "${APPS}" "URLInfoAbout" "https://github.com/waxseal/waxseal"
	WriteRegStr HKCU "${APPS}" "InstallLocation" "$INSTDIR"
	WriteRegStr HKCU "${APPS}" "UninstallString" '"$INSTDIR\uninstall.exe"'
	WriteRegStr HKCU "${APPS}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
	WriteRegDWORD HKCU "${APPS}" "NoModify" 1
	WriteRegDWORD HKCU "${APPS}" "NoRepair" 1
	${GetSize} "$INSTDIR" "/S=0K" $0 $1 $2
	WriteRegDWORD HKCU "${APPS}" "EstimatedSize" $0
	Goto done
busy:
	Delete "$INSTDIR\Waxseal.new.exe"
	${If} $ran = 1
		Exec '"${EXE}" --hidden'
	${EndIf}
	SetErrorLevel 2
	Abort
done:
SectionEnd

Section /o "$(Autostart)" autostart
	WriteRegStr HKCU "${RUN}" "Waxseal" '"${EXE}" --hidden'
SectionEnd

Section
	${If} $ran = 1
		Exec '"${EXE}" --hidden'
	${EndIf}
SectionEnd

Function .onInit
	ReadRegStr $0 HKCU "${RUN}" "Waxseal"
	${GetParameters} $1
	ClearErrors
	${GetOptions} $1 "/AUTOSTART" $2
	${IfNot} ${Errors}
	${OrIf} $0 != ""
		!insertmacro SelectSection ${autostart}
	${EndIf}
FunctionEnd

Function un.onInit
	StrCpy $erase 0
	${GetParameters} $1
	ClearErrors
	${GetOptions} $1 "/REMOVE_ACCOUNTS" $2
	${IfNot} ${Errors}
		StrCpy $erase 1
	${EndIf}
FunctionEnd

Section "un.Waxseal"
	${If} $erase = 0
		MessageBox MB_YESNO|MB_ICONQUESTION|MB_DEFBUTTON2 "$(AskErase)" /SD IDNO IDNO +2
		StrCpy $erase 1
	${EndIf}
	SetOutPath "$TEMP" ; not the folder that is about to go
	!insertmacro QUIT "${EXE}"
	${If} $erase = 1
		ClearErrors
		ExecWait '"${EXE}" erase --yes' $0
		${If} ${Errors}
		${OrIf} $0 <> 0
			MessageBox MB_OK|MB_ICONEXCLAMATION "$(EraseFailed)" /SD IDOK
		${EndIf}
	${EndIf}
	!insertmacro FREE "${EXE}" un.busy
	${If} $erase = 1
		RMDir /r "$APPDATA\waxseal"
		RMDir /r "$LOCALAPPDATA\waxseal"
		RMDir /r "$APPDATA\fyne\io.github.waxseal.waxseal"
		RMDir "$APPDATA\fyne"
	${EndIf}
	Delete "$INSTDIR\LICENSE.txt"
	Delete "$INSTDIR\THIRD-PARTY-NOTICES.txt"
	Delete "$INSTDIR\uninstall.exe"
	RMDir "$INSTDIR"
	Delete "${LINK}"
	ReadRegStr $0 HKCU "${RUN}" "Waxseal"
	${If} $0 == '"${EXE}" --hidden' ; not that of a copy in another folder
		DeleteRegValue HKCU "${RUN}" "Waxseal"
	${EndIf}
	DeleteRegKey HKCU "Software\Classes\AppUserModelId\Waxseal" ; of notifications
	DeleteRegKey HKCU "Software\Classes\CLSID\${TOAST}"
	DeleteRegKey HKCU "${APPS}"
	Goto un.done
un.busy:
	SetErrorLevel 2
	Abort
un.done:
SectionEnd
