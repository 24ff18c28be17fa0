// Package safefile reads and writes files in folders that other users may have
// a hand in.
//
// What is read may grant something: a configuration has commands that run as
// root, a key opens a tunnel. [Open] therefore looks at each folder on the way
// and at each link, and at the file itself, once it is open. All of it must
// belong to one of the [Owners], and nobody else may be able to write it. A
// folder such as /tmp, where all may make files and nobody can touch those of
// others, is good enough if what is in it belongs to one of them.
//
// What is written may hold secrets, and a link may lead elsewhere. [Write] makes
// a file of an unpredictable name that nobody else can open, and gives it the
// name that was asked for when it is complete. So there is the whole new file or
// the whole old one, and never a write through a link that somebody else has made.
// A link of the user's own stays: the file that it leads to is replaced.
//
// Folders are held open while a path is followed. So a folder that is swapped
// for a link in the meantime changes nothing.
//
// All of this is for Linux, where nodes run. Other systems have what it takes to read
// and write configurations there: who else can write a file is not asked, so that
// [Open] refuses what it is asked for as root, and takes it as another user.
package safefile
