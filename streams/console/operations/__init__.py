"""Operations by subject. A module here is found by itself: there is no list to keep."""
