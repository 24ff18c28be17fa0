package sitetest

// Lanes is how many sites there are at a time in tests that have many. Most of
// their time goes by waiting for what does not come.
const Lanes = 14
