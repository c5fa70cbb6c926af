(define (problem evening)
 (:domain kitchen)
 (:objects
   cook1 - person
   Spot_bar_00 Spot_bar_01 Spot_bar_02 Spot_bar_03 Spot_bar_04 - spot
   Drawer_bar_01 Drawer_bar_02 Drawer_bar_03 Drawer_bar_04 Drawer_bar_05 Drawer_bar_06
   Drawer_bar_07 Drawer_bar_08 Drawer_bar_09 Drawer_bar_10 Drawer_bar_11 - place
   Sink_bar_00_bar_SinkBasin Shelf_bar_00 Stove_bar_00 Table_bar_00 Fridge_bar_00 Oven_bar_00 - place
   Mug_bar_00 Mug_bar_01 Pan_bar_00 Lamp_bar_00 Bowl_bar_00 Pear_bar_00 Knife_bar_00 Soap_bar_00 - item
   DrawerKind BasinKind ShelfKind StoveKind TableKind FridgeKind OvenKind - placekind
   ThingKind KnifeKind SawKind - itemkind)
 (:init
   (= (total-cost) 0)
   (standing cook1 Spot_bar_00)
   (located Drawer_bar_01 Spot_bar_01) (located Drawer_bar_02 Spot_bar_01) (located Drawer_bar_03 Spot_bar_01)
   (located Drawer_bar_04 Spot_bar_01) (located Drawer_bar_05 Spot_bar_01) (located Drawer_bar_06 Spot_bar_01)
   (located Drawer_bar_07 Spot_bar_01) (located Drawer_bar_08 Spot_bar_01) (located Drawer_bar_09 Spot_bar_01)
   (located Drawer_bar_10 Spot_bar_01) (located Drawer_bar_11 Spot_bar_01)
   (located Sink_bar_00_bar_SinkBasin Spot_bar_02) (located Shelf_bar_00 Spot_bar_02)
   (located Stove_bar_00 Spot_bar_03) (located Table_bar_00 Spot_bar_03)
   (located Fridge_bar_00 Spot_bar_04) (located Oven_bar_00 Spot_bar_04)
   (lidded Drawer_bar_01) (lidded Fridge_bar_00) (lidded Oven_bar_00)
   (inside Pan_bar_00 Stove_bar_00) (inside Pan_bar_00 Table_bar_00) (lies Pan_bar_00 Spot_bar_03)
   (inside Mug_bar_00 Table_bar_00) (lies Mug_bar_00 Spot_bar_03)
   (inside Mug_bar_01 Shelf_bar_00) (lies Mug_bar_01 Spot_bar_02)
   (inside Lamp_bar_00 Table_bar_00) (lies Lamp_bar_00 Spot_bar_03)
   (inside Bowl_bar_00 Shelf_bar_00) (lies Bowl_bar_00 Spot_bar_02)
   (vessel Bowl_bar_00) (contains Bowl_bar_00 Soap_bar_00)
   (inside Soap_bar_00 Shelf_bar_00) (lies Soap_bar_00 Spot_bar_02)
   (inside Pear_bar_00 Fridge_bar_00) (lies Pear_bar_00 Spot_bar_04) (chilled Pear_bar_00)
   (inside Knife_bar_00 Drawer_bar_02) (lies Knife_bar_00 Spot_bar_01)
   (light Mug_bar_00) (light Mug_bar_01) (light Pan_bar_00) (light Bowl_bar_00) (light Pear_bar_00) (light Knife_bar_00)
   (light Soap_bar_00) (lamp Lamp_bar_00) (edible Pear_bar_00)
   (placeKind Drawer_bar_01 DrawerKind) (placeKind Drawer_bar_02 DrawerKind) (placeKind Drawer_bar_03 DrawerKind)
   (placeKind Sink_bar_00_bar_SinkBasin BasinKind) (placeKind Shelf_bar_00 ShelfKind) (placeKind Stove_bar_00 StoveKind)
   (placeKind Table_bar_00 TableKind) (placeKind Fridge_bar_00 FridgeKind) (placeKind Oven_bar_00 OvenKind)
   (itemKind Mug_bar_00 ThingKind) (itemKind Mug_bar_01 ThingKind) (itemKind Pan_bar_00 ThingKind) (itemKind Bowl_bar_00 ThingKind)
   (itemKind Pear_bar_00 ThingKind) (itemKind Soap_bar_00 ThingKind) (itemKind Knife_bar_00 KnifeKind)
   (accepts DrawerKind ThingKind) (accepts DrawerKind KnifeKind) (accepts BasinKind ThingKind) (accepts ShelfKind ThingKind)
   (accepts StoveKind ThingKind) (accepts TableKind ThingKind) (accepts TableKind KnifeKind) (accepts FridgeKind ThingKind))
 (:goal (and (exists (?r - place) (exists (?a - item) (and
   (placeKind ?r ShelfKind) (inside ?a ?r) (rinsed ?a)
   (exists (?b - item) (and (not (= ?a ?b)) (inside ?b ?r) (rinsed ?b))))))))
 (:metric minimize (total-cost)))
