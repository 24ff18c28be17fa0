package tunnel

// RaceEnabled is for the tests outside of this package.
const RaceEnabled = raceEnabled
