// The key chain is not used here.
module.exports = {};
