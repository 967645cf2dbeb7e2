"""The peers' room: what travels between two engines that show one world."""
